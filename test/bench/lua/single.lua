dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  return wrk.format("POST", nil, nil, event())
end
