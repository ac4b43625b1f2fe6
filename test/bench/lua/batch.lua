dofile(os.getenv("BENCH_LUA") .. "/common.lua")

function request()
  local events = {}
  for i = 1, batch do
    events[i] = event()
  end
  return wrk.format("POST", nil, nil, '{"memories":[' .. table.concat(events, ",") .. "]}")
end
