-- Load script for wrk: uses the credentials of a file in turn and prints the totals as one JSON line.
-- Arguments: header name, file with a path, a tab and a header value (empty: no header) per line.

local requests = {}
local position = 0

function init(args)
  for line in io.lines(args[2]) do
    local path, value = line:match("^(.-)\t(.*)$")
    local headers = {}
    if value ~= "" then headers[args[1]] = value end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"durationUs":%d,"badStatus":%d,"socketErrors":%d,"p50Us":%d,"p99Us":%d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
