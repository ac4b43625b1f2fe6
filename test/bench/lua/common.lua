-- Events of a realistic locality: 64 sessions are active at a time, each gets about 100 events.
-- Every content differs: run label, thread, counter and a random number are part of it.
local threads = 0
local texts = {
  "Crawled the product page and extracted the price table, the stock level and 3 reviews",
  "抓取了商品页面并提取价格表、库存和三条评论，下一页已加入队列，等待调度器分配新的会话",
  "Tool call failed with status 503 after two retries, 退避三十秒后重试, the user was told",
  "用户偏好深色模式 and short answers, prefers metric units, works in UTC+8, reads on Mondays",
}
local types = { "episodic", "episodic", "decision", "entity" }

function setup(thread)
  threads = threads + 1
  thread:set("tid", threads)
end

function init(args)
  label = args[1]
  wrk.headers["x-api-key"] = args[2]
  wrk.headers["Content-Type"] = "application/json"
  batch = tonumber(args[3] or "1")
  counter = 0
  math.randomseed(os.time() * 100 + tid)
end

function event()
  counter = counter + 1
  local session = math.floor(counter / 6400) * 64 + counter % 64
  return '{"agent_id":"agent-' .. session % 50 .. '","session_id":"s-' .. label .. "-" .. tid ..
    "-" .. session .. '","memory_type":"' .. types[counter % 4 + 1] ..
    '","event_type":"step","content":"' .. texts[counter % 4 + 1] .. " " .. label .. "." .. tid ..
    "." .. counter .. "." .. math.random(1, 1000000000) .. '","metadata":{"step":' .. counter ..
    '},"tags":["bench"],"importance":0.5}'
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"seconds":%.6f,"p50":%.3f,"p99":%.3f,"bad":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
