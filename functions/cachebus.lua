#!lua name=cachebus
-- The data-plane contract: what a service may ask of the bus in one step that happens wholly or not at all.
-- functions/README.md describes keys, arguments, replies, error codes, cost and the ACL rules that each function needs.
--
-- A function runs with its caller's ACL, and an engine undoes nothing: whatever can be refused (rights, shapes, types of
-- keys) is asked before the first write.

local VERSION = '1.0.0'
local MAX_ENVELOPE = 1048576
local MAX_HISTORY = 10000
local MAX_WINDOW = 86400000
local MAX_TTL = 86400000
local MAX_KEYS = 1000
-- Expired ids and surplus entries that one call removes at most: no call blocks the engine for long.
local PRUNED_IDS = 128
local TRIMMED = 10000
local DROPPED = 1000
-- Time that a fencing counter outlives its lock. Counters begin at the clock, so a forgotten one does not repeat.
local FENCE_KEPT = 86400000

-- Fields of an envelope and their Lua types. Objects and lists are both tables.
local ENVELOPE = {{'event_id', 'string'}, {'timestamp', 'string'}, {'channel', 'string'}, {'service', 'string'},
  {'data', 'table'}, {'metadata', 'table'}}

-- Raises an error reply; the first word is its stable code.
local function fail(code, text)
  error({err = code .. ' ' .. text})
end

local function invalid(text)
  fail('CBINVALID', text)
end

-- The caller may run this command on these keys and channels.
local function allowed(command, ...)
  if not redis.acl_check_cmd(command, ...) then
    fail('CBDENIED', command .. ' ' .. ((...) or ''))
  end
end

-- A key is absent or of this type. Needed where a command fails by it after another has written.
local function of_type(key, expected)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= expected then
    fail('WRONGTYPE', key .. ' is a ' .. found)
  end
end

local function integer(text, name, low, high)
  local number = string.match(text or '', '^%d+$') and tonumber(text)
  if not number or number < low or number > high then
    invalid(name .. ' is not a whole number from ' .. low .. ' to ' .. string.format('%.0f', high))
  end
  return number
end

local function count(keys, args, wanted_keys, wanted_args)
  if #keys ~= wanted_keys or #args ~= wanted_args then
    invalid('takes ' .. wanted_keys .. ' keys and ' .. wanted_args .. ' arguments')
  end
end

-- Milliseconds and microseconds since 1970.
local function now()
  local time = redis.call('TIME')
  local seconds, micros = tonumber(time[1]), tonumber(time[2])
  return seconds * 1000 + math.floor(micros / 1000), seconds * 1000000 + micros
end

-- ---------------------------------------------------------------------------------------------------------------------
-- Events

-- Reads the five arguments that describe an event, and refuses what is not one.
local function event_of(channel, envelope, history, durable, window)
  if not string.match(channel, '^%l[%l%d_]*:%l[%l%d_]*$') or #channel > 81 then
    invalid('channel is not <group>:<event>')
  end
  if #envelope > MAX_ENVELOPE then
    invalid('envelope is longer than ' .. MAX_ENVELOPE .. ' bytes')
  end
  local decoded, fields = pcall(cjson.decode, envelope)
  if not decoded or type(fields) ~= 'table' then
    invalid('envelope is not a JSON object')
  end
  for _, field in ipairs(ENVELOPE) do
    if type(fields[field[1]]) ~= field[2] then
      invalid('envelope has no ' .. field[1])
    end
  end
  local id = string.match(fields.event_id, '^evt_[%w_-]+$')
  if not id or #id > 68 then
    invalid('event_id is not evt_ and 1 to 64 letters, digits, _ or -')
  end
  if fields.channel ~= channel then
    invalid('envelope is for another channel')
  end
  local event = {channel = channel, envelope = envelope, id = id}
  event.window = integer(window, 'window', 0, MAX_WINDOW)
  event.length = integer(history, 'history', 0, MAX_HISTORY)
  local base = 'events:' .. channel .. ':'
  event.ids = event.window > 0 and base .. 'ids'
  event.history = event.length > 0 and base .. 'history'
  event.stream = integer(durable, 'durable', 0, 1) == 1 and base .. 'stream'
  return event
end

local function keys_of(event)
  local keys = {}
  keys[1] = event.ids or nil
  keys[#keys + 1] = event.history or nil
  keys[#keys + 1] = event.stream or nil
  return keys
end

-- All that may refuse the event. What the first command of `send` on a key finds of another type fails there: nothing is
-- written before.
local function may_emit(event)
  allowed('PUBLISH', event.channel, '')
  if event.ids then
    allowed('TIME')
    allowed('ZSCORE', event.ids, event.id)
    allowed('ZADD', event.ids, '0', event.id)
    allowed('ZCOUNT', event.ids, '-inf', '0')
    allowed('ZREMRANGEBYRANK', event.ids, '0', '0')
  end
  if event.stream then
    allowed('XADD', event.stream, '*', 'event_id', '')
  end
  if event.history then
    allowed('LPUSH', event.history, '')
    allowed('LTRIM', event.history, '0', '0')
    allowed('TYPE', event.history)
    of_type(event.history, 'list')
  end
end

-- Writes and publishes an event that nothing refuses.
local function send(event)
  local known = event.ids and redis.call('ZSCORE', event.ids, event.id)
  if known then
    return {'duplicate', '', 0}
  end
  local id = ''
  if event.stream then
    -- First, for it can still fail: where the key holds something else, or where ids are used up.
    id = redis.call('XADD', event.stream, '*', 'event_id', event.id, 'envelope', event.envelope)
  end
  if event.ids then
    local millis = now()
    local expired = redis.call('ZCOUNT', event.ids, '-inf', string.format('(%.0f', millis - event.window))
    if expired > 0 then
      redis.call('ZREMRANGEBYRANK', event.ids, 0, math.min(expired, PRUNED_IDS) - 1)
    end
    redis.call('ZADD', event.ids, string.format('%.0f', millis), event.id)
  end
  if event.history then
    redis.call('LPUSH', event.history, event.envelope)
    redis.call('LTRIM', event.history, 0, event.length - 1)
  end
  return {'emitted', id, redis.call('PUBLISH', event.channel, event.envelope)}
end

local function emit(keys, args)
  if #args ~= 5 then
    invalid('takes 5 arguments')
  end
  local event = event_of(unpack(args))
  local wanted = keys_of(event)
  if #keys ~= #wanted or keys[1] ~= wanted[1] or keys[2] ~= wanted[2] or keys[3] ~= wanted[3] then
    invalid('keys are not ' .. table.concat(wanted, ' '))
  end
  may_emit(event)
  return send(event)
end

-- The keys of the event are not declared: engines grant a call only where one selector allows all of its keys, and rights
-- on cache keys and on events are selectors of their own.
local function invalidate(keys, args)
  if #keys < 1 or #keys > MAX_KEYS or #args ~= 5 then
    invalid('takes 1 to ' .. MAX_KEYS .. ' keys and 5 arguments')
  end
  local event = event_of(unpack(args))
  allowed('UNLINK', unpack(keys))
  may_emit(event)
  local removed = redis.call('UNLINK', unpack(keys))
  local sent = send(event)
  return {removed, sent[1], sent[2], sent[3]}
end

-- ---------------------------------------------------------------------------------------------------------------------
-- Locks

local function token_of(text)
  if not string.match(text, '^[%w_-]+$') or #text < 16 or #text > 64 then
    invalid('token is not 16 to 64 letters, digits, _ or -')
  end
  return text
end

-- Epoch and counter that a fence holds.
local function fence_of(text)
  if not text then
    return 0, 0
  end
  local epoch, counter = string.match(text, '^(%d+) (%d+)$')
  if not epoch then
    fail('WRONGTYPE', 'the fence is not two numbers')
  end
  return tonumber(epoch), tonumber(counter)
end

local function lock(keys, args)
  count(keys, args, 2, 3)
  local key, fence = keys[1], keys[2]
  local token = token_of(args[1])
  local ttl = integer(args[2], 'ttl', 1, MAX_TTL)
  local epoch = integer(args[3], 'epoch', 0, 9007199254740991)
  if fence ~= key .. ':fence' then
    invalid('second key is not the first and :fence')
  end
  allowed('TIME')
  allowed('GET', key)
  allowed('GET', fence)
  allowed('PTTL', key)
  allowed('SET', key, token, 'PX', '1')
  allowed('SET', fence, '', 'PX', '1')
  local holder = redis.call('GET', key)
  if holder and holder ~= token then
    return {0, 0, 0, redis.call('PTTL', key)}
  end
  local last_epoch, last_counter = fence_of(redis.call('GET', fence))
  if not holder or last_counter == 0 then
    local _, micros = now()
    last_epoch = math.max(last_epoch, epoch)
    last_counter = math.max(last_counter + 1, micros)
    redis.call('SET', fence, string.format('%.0f %.0f', last_epoch, last_counter), 'PX', ttl + FENCE_KEPT)
  end
  redis.call('SET', key, token, 'PX', ttl)
  return {1, last_epoch, last_counter, ttl}
end

local function extend(keys, args)
  count(keys, args, 1, 2)
  local token = token_of(args[1])
  local ttl = integer(args[2], 'ttl', 1, MAX_TTL)
  allowed('GET', keys[1])
  allowed('PEXPIRE', keys[1], '1')
  if redis.call('GET', keys[1]) ~= token then
    return 0
  end
  return redis.call('PEXPIRE', keys[1], ttl)
end

local function unlock(keys, args)
  count(keys, args, 1, 1)
  local token = token_of(args[1])
  allowed('GET', keys[1])
  allowed('DEL', keys[1])
  if redis.call('GET', keys[1]) ~= token then
    return 0
  end
  return redis.call('DEL', keys[1])
end

-- ---------------------------------------------------------------------------------------------------------------------
-- Retention

-- The pairs of a reply as a table.
local function fields_of(pairs_list)
  local fields = {}
  for i = 1, #pairs_list, 2 do
    fields[pairs_list[i]] = pairs_list[i + 1]
  end
  return fields
end

local function parts(id)
  local millis, sequence = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(millis), tonumber(sequence)
end

local function before(a, b)
  local a_millis, a_sequence = parts(a)
  local b_millis, b_sequence = parts(b)
  return a_millis < b_millis or (a_millis == b_millis and a_sequence < b_sequence)
end

-- The first id that a group has not acknowledged: everything before is done.
local function awaited(stream, group)
  if group.pending > 0 then
    return redis.call('XPENDING', stream, group.name)[2]
  end
  local millis, sequence = parts(group['last-delivered-id'])
  return string.format('%.0f-%.0f', millis, sequence + 1)
end

-- Names of the consumers that are gone: nothing pending, and not heard of for as long as events are kept.
local function gone(stream, group, retention)
  local names = {}
  for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group.name)) do
    local consumer = fields_of(reply)
    if consumer.pending == 0 and consumer.idle > retention then
      names[#names + 1] = consumer.name
    end
  end
  return names
end

-- Drops the oldest entries, acknowledged or not, and counts for each group what it had not acknowledged.
local function drop(stream, lost, groups, surplus)
  local entries = redis.call('XRANGE', stream, '-', '+', 'COUNT', math.min(surplus, DROPPED) + 1)
  local next_id = table.remove(entries)[1]
  local last_id = entries[#entries][1]
  for _, group in ipairs(groups) do
    local missed = 0
    for _, entry in ipairs(entries) do
      if before(group['last-delivered-id'], entry[1]) then
        missed = missed + 1
      end
    end
    local pending = redis.call('XPENDING', stream, group.name, '-', last_id, DROPPED)
    for _, entry in ipairs(pending) do
      -- What can be had no more is not to be claimed either: a consumer would count it once again.
      redis.call('XACK', stream, group.name, entry[1])
    end
    if missed + #pending > 0 then
      redis.call('HINCRBY', lost, group.name, missed + #pending)
    end
  end
  return redis.call('XTRIM', stream, 'MINID', '=', next_id)
end

local function groups_of(stream)
  local groups = {}
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    groups[#groups + 1] = fields_of(reply)
  end
  return groups
end

-- What a call is about, as both functions take it.
local function asked(keys, args)
  count(keys, args, 2, 2)
  local stream, lost = keys[1], keys[2]
  local base = string.match(stream, '^(events:.+:)stream$')
  if not base or lost ~= base .. 'lost' then
    invalid('keys are not events:<channel>:stream and events:<channel>:lost')
  end
  local retention = integer(args[1], 'retention', 1, 9007199254740991)
  local most = integer(args[2], 'most', 0, 9007199254740991)
  return stream, lost, retention, most
end

-- The caller may look at a stream, and there is one.
local function may_look(stream, lost)
  for _, command in ipairs({{'TIME'}, {'TYPE', stream}, {'TYPE', lost}, {'XINFO', 'GROUPS', stream},
    {'XINFO', 'CONSUMERS', stream, ''}, {'XPENDING', stream, ''}, {'XRANGE', stream, '-', '+'}, {'XLEN', stream},
    {'HGET', lost, ''}}) do
    allowed(unpack(command))
  end
  of_type(stream, 'stream')
  of_type(lost, 'hash')
  return redis.call('TYPE', stream).ok == 'stream'
end

-- The id before which entries are old and done with.
local function limit_of(stream, groups, millis, retention)
  local limit = string.format('%.0f-0', math.max(millis - retention, 0))
  for _, group in ipairs(groups) do
    local first = awaited(stream, group)
    if before(first, limit) then
      limit = first
    end
  end
  return limit
end

-- For each group: name, pending, lag, age of the first entry that it has not acknowledged, entries lost.
local function report_of(stream, lost, groups, millis)
  local report = {}
  for _, group in ipairs(groups) do
    local first = redis.call('XRANGE', stream, awaited(stream, group), '+', 'COUNT', 1)[1]
    local age = first and math.max(millis - parts(first[1]), 0) or 0
    local missed = tonumber(redis.call('HGET', lost, group.name) or 0)
    report[#report + 1] = {group.name, group.pending, group.lag or -1, age, missed}
  end
  return report
end

local function trim(keys, args)
  local stream, lost, retention, most = asked(keys, args)
  for _, command in ipairs({{'XGROUP', 'DELCONSUMER', stream, '', ''}, {'XACK', stream, '', '0-0'},
    {'XTRIM', stream, 'MINID', '0'}, {'HINCRBY', lost, '', '0'}}) do
    allowed(unpack(command))
  end
  if not may_look(stream, lost) then
    return {0, 0, 0, {}}
  end
  local millis = now()
  local groups = groups_of(stream)
  for _, group in ipairs(groups) do
    for _, name in ipairs(gone(stream, group, retention)) do
      redis.call('XGROUP', 'DELCONSUMER', stream, group.name, name)
    end
  end
  local limit = limit_of(stream, groups, millis, retention)
  local removed = redis.call('XTRIM', stream, 'MINID', '~', limit, 'LIMIT', TRIMMED)
  if removed < TRIMMED / 2 then
    -- It was not stopped by the number: what is left is in one node, and takes no longer than that has entries.
    removed = removed + redis.call('XTRIM', stream, 'MINID', '=', limit)
  end
  local dropped, length = 0, redis.call('XLEN', stream)
  if most > 0 and length > most then
    dropped = drop(stream, lost, groups, length - most)
  end
  return {removed, dropped, length - dropped, report_of(stream, lost, groups_of(stream), millis)}
end

local function backlog(keys, args)
  local stream, lost, retention, most = asked(keys, args)
  if not may_look(stream, lost) then
    return {0, 0, 0, {}}
  end
  local millis = now()
  local groups, length = groups_of(stream), redis.call('XLEN', stream)
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  local due = (most > 0 and length > most)
    or (oldest and before(oldest[1], limit_of(stream, groups, millis, retention)))
  for _, group in ipairs(groups) do
    due = due or #gone(stream, group, retention) > 0
  end
  return {1, due and 1 or 0, length, report_of(stream, lost, groups, millis)}
end

redis.register_function('cachebus_emit', emit)
redis.register_function('cachebus_invalidate', invalidate)
redis.register_function('cachebus_lock', lock)
redis.register_function('cachebus_extend', extend)
redis.register_function('cachebus_unlock', unlock)
-- What makes room must not need any.
redis.register_function{function_name = 'cachebus_trim', callback = trim, flags = {'allow-oom'}}
redis.register_function{function_name = 'cachebus_backlog', callback = backlog, flags = {'no-writes'}}
redis.register_function{function_name = 'cachebus_version', callback = function() return VERSION end, flags = {'no-writes'}}
