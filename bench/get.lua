-- wrk script: GET folder/00000.bin ... in turn; prints the outcome as one line of JSON.
-- Arguments: folder, number of files, value of the Authorization header.
local requests, at = {}, 0

function init(args)
  for number = 0, tonumber(args[2]) - 1 do
    local path = string.format("%s/%05d.bin", args[1], number)
    requests[#requests + 1] = wrk.format("GET", path, {Authorization = args[3], ["User-Agent"] = "bench"})
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"bytes":%d,"microseconds":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,"p99_us":%d}\n',
    summary.requests, summary.bytes, summary.duration, errors.connect, errors.read, errors.write, errors.status,
    errors.timeout, latency:percentile(99)))
end
