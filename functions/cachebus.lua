#!lua name=cachebus
-- The data-plane contract: what a service may ask of the bus in one step that happens wholly or not at all.
-- functions/README.md describes keys, arguments, replies, error codes, cost and the ACL rules that each function needs.
--
-- A function runs with its caller's ACL, and an engine undoes nothing: whatever can be refused (rights, shapes, types of
-- keys) is asked before the first write, or what was written is taken back here.

local VERSION = '1.1.0'
local MAX_ENVELOPE = 1048576
local MAX_HISTORY = 10000
local MAX_WINDOW = 86400000
local MAX_TTL = 86400000
local MAX_KEYS = 1000
-- Expired ids and surplus entries that one call removes at most: no call blocks the engine for long.
local PRUNED_IDS = 128
local TRIMMED = 10000
local DROPPED = 1000
-- From one look for expired ids of a channel to the next: its window divided by this.
local LOOKS = 1000
-- Channels of which it is remembered how their events are kept.
local CHANNELS = 1000
-- Time that a fencing counter outlives its lock. Counters begin at the clock, so a forgotten one does not repeat.
local FENCE_KEPT = 86400000

-- Fields of an envelope and their Lua types. Objects and lists are both tables.
local ENVELOPE = {{'event_id', 'string'}, {'timestamp', 'string'}, {'channel', 'string'}, {'service', 'string'},
  {'data', 'table'}, {'metadata', 'table'}}

-- An envelope as clients write it. One whose texts hold lone braces or quotes may not look like it.
local WRITTEN = '^{"event_id":"(evt_[%w_-]+)","timestamp":%b"","channel":"([%l%d_:]+)","service":%b"",'
  .. '"data":%b{},"metadata":%b{}}$'

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

-- How the events of a channel are kept, by its name: the arguments that say so are looked at once, not for each event.
local channels, remembered = {}, 0

local function described(name, history, durable, window)
  if not string.match(name, '^%l[%l%d_]*:%l[%l%d_]*$') or #name > 81 then
    invalid('channel is not <group>:<event>')
  end
  local base, keys = 'events:' .. name .. ':', {}
  local function key(what)
    keys[#keys + 1] = base .. what
    return keys[#keys]
  end
  -- `look_at`: when it is looked for expired ids again.
  local channel = {name = name, keys = keys, arguments = {history, durable, window}, look_at = 0}
  channel.window = integer(window, 'window', 0, MAX_WINDOW)
  channel.ids = channel.window > 0 and key('ids')
  channel.last = integer(history, 'history', 0, MAX_HISTORY) - 1
  channel.history = channel.last >= 0 and key('history')
  channel.stream = integer(durable, 'durable', 0, 1) == 1 and key('stream')
  return channel
end

-- What these arguments say of a channel; refuses what is none.
local function channel_of(name, history, durable, window)
  local channel = channels[name]
  if channel then
    local arguments = channel.arguments
    if arguments[1] == history and arguments[2] == durable and arguments[3] == window then
      return channel
    end
  elseif remembered == CHANNELS then
    channels, remembered = {}, 0
  end
  channel = described(name, history, durable, window)
  if not channels[name] then
    remembered = remembered + 1
  end
  channels[name] = channel
  return channel
end

-- Id and channel that an envelope of whatever form names; refuses what is none.
local function read(envelope)
  local decoded, fields = pcall(cjson.decode, envelope)
  if not decoded or type(fields) ~= 'table' then
    invalid('envelope is not a JSON object')
  end
  for _, field in ipairs(ENVELOPE) do
    if type(fields[field[1]]) ~= field[2] then
      invalid('envelope has no ' .. field[1])
    end
  end
  return string.match(fields.event_id, '^evt_[%w_-]+$'), fields.channel
end

-- The id of an event of this channel; refuses what is none.
local function id_of(envelope, channel)
  if #envelope > MAX_ENVELOPE then
    invalid('envelope is longer than ' .. MAX_ENVELOPE .. ' bytes')
  end
  local id, named = string.match(envelope, WRITTEN)
  if not id then
    id, named = read(envelope)
  end
  if not id or #id > 68 then
    invalid('event_id is not evt_ and 1 to 64 letters, digits, _ or -')
  end
  if named ~= channel.name then
    invalid('envelope is for another channel')
  end
  return id
end

-- All rights that `send` may need.
local function may_emit(channel)
  allowed('PUBLISH', channel.name, '')
  if channel.ids then
    allowed('TIME')
    allowed('ZSCORE', channel.ids, '')
    allowed('ZADD', channel.ids, '0', '')
    allowed('ZCOUNT', channel.ids, '-inf', '0')
    allowed('ZREMRANGEBYRANK', channel.ids, '0', '0')
  end
  if channel.stream then
    allowed('XADD', channel.stream, '*', 'event_id', '')
  end
  if channel.history then
    allowed('LPUSH', channel.history, '')
    allowed('LTRIM', channel.history, '0', '0')
  end
end

-- Writes and publishes an event. Whatever is refused is refused before anything is written: what reads by itself, and so does
-- the first that writes, whose key is of the wrong type or which the caller may not run; for what comes after them it is asked
-- ahead. `XADD` may also fail because ids are used up: what was written before it can be taken back by what was asked for.
local function send(channel, id, envelope)
  local call, may = redis.call, redis.acl_check_cmd
  local name, ids, history, stream = channel.name, channel.ids, channel.history, channel.stream
  if ids and call('ZSCORE', ids, id) then
    return {'duplicate', '', 0}
  end
  if not may('PUBLISH', name, '') or (ids and not may('ZADD', ids, '0', ''))
    or (history and not may('LTRIM', history, '0', '0')) then
    may_emit(channel)
  end
  local millis, expired
  if ids then
    millis = now()
    if millis >= channel.look_at then
      allowed('ZREMRANGEBYRANK', ids, '0', '0')
      expired = call('ZCOUNT', ids, '-inf', string.format('(%.0f', millis - channel.window))
    end
  end
  if history then
    call('LPUSH', history, envelope)
  end
  local stream_id = ''
  if stream then
    stream_id = redis.pcall('XADD', stream, '*', 'event_id', id, 'envelope', envelope)
    if type(stream_id) == 'table' then
      if history then
        call('LTRIM', history, '1', '-1')
      end
      error(stream_id)
    end
  end
  if history then
    call('LTRIM', history, '0', channel.last)
  end
  if ids then
    if expired then
      if expired > 0 then
        call('ZREMRANGEBYRANK', ids, 0, math.min(expired, PRUNED_IDS) - 1)
      end
      if expired <= PRUNED_IDS then
        channel.look_at = millis + channel.window / LOOKS
      end
    end
    call('ZADD', ids, millis, id)
  end
  return {'emitted', stream_id, call('PUBLISH', name, envelope)}
end

-- The same; a missing right is named as `allowed` does.
local function sent(channel, id, envelope)
  local done, reply = pcall(send, channel, id, envelope)
  if not done then
    may_emit(channel)
    -- Engines have `pcall` give the text of an error reply.
    error({err = reply})
  end
  return reply
end

local function emit(keys, args)
  if #args ~= 5 then
    invalid('takes 5 arguments')
  end
  local channel = channel_of(args[1], args[3], args[4], args[5])
  local id = id_of(args[2], channel)
  local wanted = channel.keys
  if #keys ~= #wanted or keys[1] ~= wanted[1] or keys[2] ~= wanted[2] or keys[3] ~= wanted[3] then
    invalid('keys are not ' .. table.concat(wanted, ' '))
  end
  return sent(channel, id, args[2])
end

-- The keys of the event are not declared: engines grant a call only where one selector allows all of its keys, and rights
-- on cache keys and on events are selectors of their own.
local function invalidate(keys, args)
  if #keys < 1 or #keys > MAX_KEYS or #args ~= 5 then
    invalid('takes 1 to ' .. MAX_KEYS .. ' keys and 5 arguments')
  end
  local channel = channel_of(args[1], args[3], args[4], args[5])
  local id = id_of(args[2], channel)
  allowed('UNLINK', unpack(keys))
  -- The event first, for it can still fail.
  local reply = sent(channel, id, args[2])
  return {redis.call('UNLINK', unpack(keys)), reply[1], reply[2], reply[3]}
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
