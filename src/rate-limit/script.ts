// The Redis side of all limits: the same steps as the algorithms in this folder, on the server's clock, for whole batches.

/** What a decision asks of the script; the number of its limits is added to it. */
export const MODE = {
  decide: 0,
  charge: 100,
  refund: 200,
  lease: 300,
  floor: 400,
  forget: 500,
  peek: 600,
} as const;

/** Facts about one limit, added to the number of its form. */
export const OBSERVED_FLAG = 2;
export const LEASED_FLAG = 4;

/** Numbers that the script answers for one limit; one more in mode `lease`. */
export const ANSWER_LENGTH = 3;

/**
 * Takes a batch of decisions, each atomically and in order: all limits of a decision count, or none does. Every key is
 * passed in KEYS, and all of one call have to lie in one slot of a cluster.
 *
 * ARGV holds per decision its mode plus the number of its limits, and per limit: form plus flags, cap, two numbers of
 * the form, cost. Mode `lease` adds: lease id, units spent from it, units given back, units wanted, time it lasts, and
 * the part of what is free that one instance may take. Mode `refund` adds the server's time at which the units were
 * counted, or one before. Mode `floor` adds the age of what is claimed, and the age of the
 * last use that may be a part of it. KEYS holds one counter per limit, a leased one followed by the key of its leases.
 * Times are microseconds.
 *
 * The answer is flat and whole: the server's time, then per decision 1 or 0 (admitted or not), and per limit the units
 * that count after the decision, leases included, the time until none does, the time until the same cost fits (0 when
 * it did), and in mode `lease` the units granted.
 *
 * Modes: `decide` counts all or nothing, and a cost of 0 only looks; `charge` counts whether or not there is room;
 * `refund` takes back what was just counted; `lease` settles what an instance holds, counts all or nothing, and grants
 * it more; `floor` makes sure that what counted that long ago, `cost` units, counts on, whatever a loss took of it; `forget`
 * deletes the counter and its leases; `peek` finds what \`decide\` would, and counts nothing.
 *
 * A log is a list of groups, oldest first, each three packed numbers: time of its last admission, running total before
 * it, running total after it; a fourth is in a group that makes up for
 * a loss, the time when it was made. A bucket is one string of two packed numbers: time and level. Leases are a hash: id to
 * units, time of the grant, time it lasts; one that was not settled in time counts as spent at its end. Everything
 * expires a second after it has stopped to matter.
 *
 * Where something is taken back or moved in time, it is always towards later: never is a unit forgotten too early.
 */
export const LIMITER_SCRIPT = `
local call, pack, unpack = redis.call, struct.pack, struct.unpack
local ceil, floor, max, min = math.ceil, math.floor, math.max, math.min
local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local answer = { now }

local function expire(key, micros)
  call('PEXPIRE', key, ceil(micros / 1000) + 1000)
end

local function group(key, index)
  local packed = call('LINDEX', key, index)
  if packed then
    local time, before, after = unpack('ddd', packed)
    return time, before, after, #packed > 24 and unpack('d', packed, 25) or nil
  end
end

-- Smallest index from low to high whose group passes; the one at high is known to, or lies behind the last.
local function search(key, low, high, passes)
  while low < high do
    local middle = floor((low + high) / 2)
    if passes(group(key, middle)) then high = middle else low = middle + 1 end
  end
  return low
end

-- A server clock that was set back: the whole log moves with it, so that its newest group is of this moment.
local function shift(key, by, window)
  local groups = call('LRANGE', key, 0, -1)
  call('DEL', key)
  for index, packed in ipairs(groups) do
    local time, before, after = unpack('ddd', packed)
    local mark = #packed > 24 and pack('d', unpack('d', packed, 25) - by) or ''
    call('RPUSH', key, pack('ddd', time - by, before, after) .. mark)
  end
  expire(key, window)
end

local log = {}

-- A state is made with all its members at once: tables that grow are what the server would spend most on.
function log.load(key, window, grain)
  local state = {
    key = key, form = log, lasts = window, grain = grain, used = 0, total = 0, first = 0, before = 0, newest = false,
    made = false, over = false, cap = 0, cost = 0, held = 0, observed = false, leases = false, fits = false,
  }
  local newest, before, total, made = group(key, -1)
  if not newest then return state end
  if newest > now then
    made = made and made - newest + now
    shift(key, newest - now, window)
    newest = now
  end
  if made and made > now then
    made = now
    call('LSET', key, -1, pack('dddd', newest, before, total, made))
  end
  if newest + window <= now then
    state.over = true
    return state
  end
  local time, base = unpack('ddd', call('LINDEX', key, 0))
  if time + window <= now then
    local function counts(time) return time + window > now end
    local first = 1
    while first < 4 and not counts((group(key, first))) do first = first + 1 end
    if first == 4 then first = search(key, 4, call('LLEN', key) - 1, counts) end
    state.first = first
    time, base = group(key, first)
  end
  state.newest, state.before, state.total, state.used = newest, before, total, total - base
  state.made = made or false
  return state
end

local function trim(state)
  if state.over then
    call('DEL', state.key)
    state.over = false
  end
  if state.first > 0 then
    call('LTRIM', state.key, state.first, -1)
    state.first = 0
  end
end

function log.add(state, cost, at)
  -- A lease that ended a whole window ago.
  if at + state.lasts <= now then return end
  if state.over or state.first > 0 then trim(state) end
  local key, newest, total = state.key, state.newest, state.total + cost
  if newest then at = max(at, newest, state.made or 0) end
  if newest and not state.made and total - state.before <= state.grain then
    call('LSET', key, -1, pack('ddd', at, state.before, total))
  else
    call('RPUSH', key, pack('ddd', at, state.total, total))
    state.before, state.made = state.total, false
  end
  state.newest, state.total, state.used = at, total, state.used + cost
  expire(key, state.lasts)
end

-- Takes the newest units out; what is left keeps the later time. What was counted a window ago has left by itself.
function log.remove(state, cost, since)
  if since + state.lasts <= now then return end
  trim(state)
  local key, left = state.key, min(cost, state.used)
  while left > 0 do
    local units = min(state.total - state.before, left)
    left, state.total, state.used = left - units, state.total - units, state.used - units
    if state.total == state.before then
      call('RPOP', key)
      local _, before, _, made = group(key, -1)
      if not before then
        state.newest = false
        return
      end
      state.before, state.made = before, made or false
    end
  end
  if state.newest then
    local mark = state.made and pack('d', state.made) or ''
    call('LSET', key, -1, pack('ddd', state.newest, state.before, state.total) .. mark)
  end
end

-- What counted at a time, and may have been used until another. The log still has what it had at that time; a group at
-- its end makes up for the rest. As that is later than what it stands for, it is no part of what the log had: another
-- claim would take for counted what had left the window. So it becomes as large and as late as any claim makes it.
function log.floor(state, cost, at, till)
  local key, window = state.key, state.lasts
  local size = call('LLEN', key)
  local behind = search(key, 0, size, function(time, _, _, made) return (made or time) > at end)
  local first = search(key, 0, behind, function(time) return time + window > at end)
  local missing = cost
  if first < behind then
    local _, before = group(key, first)
    local _, _, after = group(key, behind - 1)
    missing = cost - (after - before)
  end
  if missing <= 0 or till + window <= now then return end
  trim(state)
  if state.newest then till = max(till, state.newest) end
  if state.made and state.made > at then
    local units = state.total - state.before
    missing = max(missing, units)
    call('RPOP', key)
    state.total, state.used = state.before, state.used - units
  end
  local total = state.total + missing
  call('RPUSH', key, pack('dddd', till, state.total, total, now))
  state.newest, state.before, state.total, state.used = till, state.total, total, state.used + missing
  state.made = now
  expire(key, window)
end

function log.reset(state)
  return state.newest and state.newest + state.lasts - now or 0
end

function log.wait(state, cost, cap)
  if not state.newest then return state.lasts end
  local function leaves(time, before, after) return state.total - after + cost <= cap end
  local first = state.first
  if not leaves(group(state.key, first)) then
    first = search(state.key, first + 1, call('LLEN', state.key), leaves)
  end
  return (group(state.key, first) or state.newest) + state.lasts - now
end

local bucket = {}

function bucket.load(key, scale, drain)
  local state = {
    key = key, form = bucket, scale = scale, drain = drain, level = 0, used = 0, lasts = 0, cap = 0, cost = 0, held = 0,
    observed = false, leases = false, fits = false,
  }
  local packed = call('GET', key)
  if packed then
    local time, level = unpack('dd', packed)
    -- A server clock that was set back drains nothing, and drains on from where it is now.
    if time > now then call('SETRANGE', key, 0, pack('d', now)) end
    local drained = max(0, now - time) * drain
    state.level = max(0, level - drained)
    state.spare = max(0, drained - level)
  end
  state.used = ceil(state.level / scale)
  return state
end

local function save(state, level)
  state.level, state.used = level, ceil(level / state.scale)
  if level <= 0 then
    call('DEL', state.key)
  else
    call('SET', state.key, pack('dd', now, level), 'PX', ceil(level / state.drain / 1000) + 1000)
  end
end

-- Of what is added as of an earlier time, that has drained which the bucket could have drained since.
function bucket.add(state, cost, at)
  local more = cost * state.scale
  if at < now then
    local drained = (now - at) * state.drain
    if state.spare then drained = min(drained, state.spare) end
    drained = max(0, drained - (state.late or 0))
    state.late = (state.late or 0) + more
    more = max(0, more - drained)
  end
  if more > 0 then save(state, state.level + more) end
end

-- While the units were in, they drained in the place of others: that part is not had back.
function bucket.remove(state, cost, since)
  local less = cost * state.scale - max(0, now - since) * state.drain
  if less > 0 then save(state, max(0, state.level - less)) end
end

function bucket.floor(state, cost, at, till)
  local level = (cost - state.held) * state.scale - (now - till) * state.drain
  if level > state.level then save(state, level) end
end

function bucket.reset(state)
  return ceil(state.level / state.drain)
end

function bucket.wait(state, cost, cap)
  return ceil((state.level + (cost - cap) * state.scale) / state.drain)
end

local forms = { [0] = log, [1] = bucket }

-- Sums the leases up. One that is over counts as spent, at its end at the latest.
local function load_leases(state, own_id)
  local flat = call('HGETALL', state.leases)
  local held = 0
  for index = 1, #flat, 2 do
    local id = flat[index]
    local units, from, lasts = unpack('ddd', flat[index + 1])
    if from > now then
      from = now
      call('HSET', state.leases, id, pack('ddd', units, from, lasts))
    end
    if from + lasts <= now then
      state.form.add(state, units, from + lasts)
      call('HDEL', state.leases, id)
    elseif id == own_id then
      state.own = units
    else
      held = held + units
    end
  end
  return held
end

local slot, arg, last_arg = 0, 1, #ARGV

local function number()
  arg = arg + 1
  return tonumber(ARGV[arg - 1])
end

local function load(mode)
  local at = arg
  arg, slot = at + 5, slot + 1
  local flags, cap, cost = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 4])
  local form = forms[flags % 2]
  if mode == 5 then call('DEL', KEYS[slot]) end
  local state = form.load(KEYS[slot], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
  state.cap, state.cost = cap, cost
  if flags % 4 >= 2 then state.observed = true end
  if flags >= 4 then
    slot = slot + 1
    state.leases = KEYS[slot]
  end
  if mode == 5 and state.leases then call('DEL', state.leases) end
  if mode == 3 then
    state.id = ARGV[arg]
    arg = arg + 1
    local spent, back, want, lasts, part = number(), number(), number(), number(), number()
    state.held = load_leases(state, state.id)
    local own = state.own or 0
    -- A lease that is gone was counted as spent already.
    spent = min(spent, own)
    if spent > 0 then form.add(state, spent, now) end
    state.own = max(0, own - spent - back)
    state.held = state.held + state.own
    state.want, state.lease_lasts, state.part = want, lasts, part
  elseif state.leases then
    state.held = load_leases(state)
  end
  if mode == 2 then state.since = number() end
  if mode == 4 then state.at, state.till = now - number(), now - number() end
  state.fits = state.used + state.held + cost <= cap
  return state
end

local function grant(state, want)
  local free = floor((state.cap - state.used - state.held) / state.part)
  local granted = max(0, min(want, free))
  local own = state.own + granted
  state.held = state.held + granted
  if own > 0 then
    call('HSET', state.leases, state.id, pack('ddd', own, now, state.lease_lasts))
    local lasts = max(state.lasts, state.scale and state.cap * state.scale / state.drain or 0)
    if call('PTTL', state.leases) < (state.lease_lasts + lasts) / 1000 then
      expire(state.leases, 2 * state.lease_lasts + lasts)
    end
  else
    call('HDEL', state.leases, state.id)
  end
  return granted
end

local states, size = {}, 1

while arg <= last_arg do
  local header = number()
  local mode, limits, admitted = floor(header / 100), header % 100, 1
  for turn = 1, limits do
    local state = load(mode)
    states[turn] = state
    if not state.fits and not state.observed and (mode == 0 or mode == 3 or mode == 6) then admitted = 0 end
  end
  size = size + 1
  answer[size] = admitted
  for turn = 1, limits do
    local state = states[turn]
    local form, cost, fits, retry, granted = state.form, state.cost, state.fits, 0, 0
    if mode == 1 then
      if cost > 0 then form.add(state, cost, now) end
    elseif mode == 2 then
      form.remove(state, cost, state.since)
    elseif mode == 4 then
      form.floor(state, cost, state.at, state.till)
    elseif mode ~= 5 then
      if fits and admitted == 1 and cost > 0 and mode ~= 6 then form.add(state, cost, now) end
      if mode == 3 then granted = grant(state, admitted == 1 and state.want or 0) end
      if not fits then retry = max(1, form.wait(state, cost, state.cap - state.held)) end
    end
    answer[size + 1], answer[size + 2], answer[size + 3] = state.used + state.held, form.reset(state), retry
    size = size + 3
    if mode == 3 then
      size = size + 1
      answer[size] = granted
    end
  end
end
return answer
`;
