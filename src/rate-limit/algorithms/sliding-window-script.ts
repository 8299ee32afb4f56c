// The sliding window as a Redis script: the same step as sliding-window.ts, on the server's clock, for whole batches.

/**
 * Takes a batch of decisions, each atomically and in order: all limits of a decision count, or none does.
 *
 * ARGV holds per decision the number of its limits, then per limit: limit, window in microseconds, grain, cost.
 * A cost of 0 only looks. KEYS holds one counter per limit, in the same order. The answer is flat and whole: the server's time in
 * microseconds, then per decision 1 or 0 (admitted or not), and per limit the units counted after the decision, the
 * microseconds until none is, and the microseconds until the same cost fits (0 when it did).
 *
 * A counter is a list of groups, oldest first, each three packed numbers: time of its last admission, running total
 * before it, running total after it. Microseconds throughout: a coarser clock would forget a group early. The list
 * expires a second after its last group has left the window, so no counter is without an end.
 */
export const SLIDING_WINDOW_SCRIPT = `
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = { now }
local slot, arg, last_arg = 0, 1, #ARGV

local function group(key, index)
  local packed = call('LINDEX', key, index)
  if packed then return unpack('ddd', packed) end
end

-- A server clock that was set back: the whole list moves with it, so that its newest group is of this moment.
local function shift(key, by, window)
  for index, packed in ipairs(call('LRANGE', key, 0, -1)) do
    local time, before, after = unpack('ddd', packed)
    call('LSET', key, index - 1, pack('ddd', time - by, before, after))
  end
  call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
end

local function look(key, window)
  local newest, before, total = group(key, -1)
  if not newest then return { used = 0 } end
  if newest > now then
    shift(key, newest - now, window)
    newest = now
  end
  if newest + window <= now then return { used = 0, over = true } end
  local expired = 0
  local time, base = group(key, 0)
  while time + window <= now do
    expired = expired + 1
    time, base = group(key, expired)
  end
  return { used = total - base, newest = newest, before = before, total = total, expired = expired, first = time }
end

local function wait(key, state, limit, window, cost)
  local index = state.expired
  while true do
    local time, _, after = group(key, index)
    if not time then return state.newest + window - now end
    if state.total - after + cost <= limit then return time + window - now end
    index = index + 1
  end
end

local function count(key, state, window, grain, cost)
  local total = (state.total or 0) + cost
  if state.over then call('DEL', key) end
  if state.newest and total - state.before <= grain then
    call('LSET', key, -1, pack('ddd', now, state.before, total))
  else
    call('RPUSH', key, pack('ddd', now, total - cost, total))
  end
  if state.expired and state.expired > 0 then call('LTRIM', key, state.expired, -1) end
  call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
end

while arg <= last_arg do
  local limits = tonumber(ARGV[arg])
  local states, admitted = {}, 1
  for turn = 1, limits do
    local at = arg + turn * 4 - 3
    local state = look(KEYS[slot + turn], tonumber(ARGV[at + 1]))
    if state.used + ARGV[at + 3] > tonumber(ARGV[at]) then admitted = 0 end
    states[turn] = state
  end
  answer[#answer + 1] = admitted
  for turn = 1, limits do
    local at, key, state = arg + turn * 4 - 3, KEYS[slot + turn], states[turn]
    local limit, window, cost = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
    local used, reset, retry = state.used, 0, 0
    if admitted == 1 and cost > 0 then
      count(key, state, window, tonumber(ARGV[at + 2]), cost)
      used, reset = used + cost, window
    elseif state.newest then
      reset = state.newest + window - now
      if used + cost > limit then retry = wait(key, state, limit, window, cost) end
    end
    local size = #answer
    answer[size + 1], answer[size + 2], answer[size + 3] = used, reset, retry
  end
  slot, arg = slot + limits, arg + limits * 4 + 1
end
return answer
`;
