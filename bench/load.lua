-- What wrk sends: wrk ... -- KEY BODY [SEED]
-- BODY is a file. Each @ in it stands for something that was never sent before: the seed, the thread and a count.
-- At the end one line of JSON: times are in microseconds.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local file = assert(io.open(args[2], "rb"))
  local body = file:read("*a")
  file:close()
  wrk.method = "POST"
  wrk.headers["content-type"] = "application/json"
  wrk.headers["authorization"] = "Bearer " .. args[1]
  if args[3] == nil then
    wrk.body = body
    return
  end
  local parts = {}
  for part in (body .. "@"):gmatch("(.-)@") do parts[#parts + 1] = part end
  local count = 0
  function request()
    count = count + 1
    return wrk.format(nil, nil, nil, table.concat(parts, args[3] .. "-" .. number .. "-" .. count))
  end
end

function done(summary, latency, requests)
  local bad = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
