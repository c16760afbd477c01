-- An instance of Tarantool with synchronous replication, and the hand that fails it over.
--
-- Nodes are in a row: 1 leads, 2 replicates from 1, 3 from 2, and a transaction is confirmed once two have it. So all
-- that 1 has confirmed is on 2. When 2 has not heard from 1 for a while it stops to replicate from it, for good: from
-- then on 1 can confirm nothing. Then it does what the manual says of a failover by hand: it becomes writable and calls
-- box.ctl.clear_synchro_queue(). There is one failover; that it happened is kept in a file.
--
-- Usage: tarantool instance.lua ID IP1 IP2 IP3

local fiber = require('fiber')
local fio = require('fio')
local log = require('log')
local socket = require('socket')

local PORT, HEALTH_PORT = 3301, 8080
-- Seconds without a word from the leader after which it is given up.
local PATIENCE = 0.6

local id = tonumber(arg[1])
local ips = { arg[2], arg[3], arg[4] }
local function uri(node) return ips[node] .. ':' .. PORT end

local promoted = fio.path.exists('promoted')
local is_new = #fio.glob('*.snap') == 0
-- Those that it replicates from. Who is new gets what there is from the leader.
local function sources()
    if id == 1 or promoted then return {} end
    return { uri(is_new and 1 or id - 1) }
end

box.cfg {
    listen = uri(id),
    replication = sources(),
    replication_connect_quorum = is_new and id ~= 1 and 1 or 0,
    replication_connect_timeout = is_new and 30 or 1,
    replication_timeout = 0.15,
    replication_synchro_quorum = 2,
    replication_synchro_timeout = 0.4,
    read_only = id ~= 1 and not promoted,
    wal_mode = 'write',
    memtx_memory = 32 * 1024 * 1024,
    log_level = 5,
}

local function is_made()
    return box.space.barriers and box.space.barriers.is_sync and box.space._cluster:len() == #ips
end

if is_new and id ~= 1 then
    -- An instance has no log of what it got when it joined, so those that it feeds must be as far by themselves.
    while not is_made() do fiber.sleep(0.01) end
    is_new = false
    box.cfg { replication_connect_quorum = 0, replication_connect_timeout = 1 }
    box.cfg { replication = sources() }
end

if id == 1 then
    box.once('schema', function()
        box.schema.space.create('elements', { format = { { 'set', 'string' }, { 'element', 'string' } } })
        box.space.elements:create_index('pk', { parts = { 'set', 'element' } })
        box.schema.space.create('registers', { format = { { 'key', 'string' }, { 'value', 'string' } } })
        box.space.registers:create_index('pk', { parts = { 'key' } })
        box.schema.space.create('barriers', { format = { { 'id', 'unsigned' }, { 'count', 'unsigned' } } })
        box.space.barriers:create_index('pk')
        box.schema.user.grant('guest', 'read,write,execute,replication', 'universe')
        -- only now: a synchronous space waits for the quorum, which is not there yet
        for _, space in ipairs({ 'elements', 'registers', 'barriers' }) do
            box.space._space:update(box.space[space].id, { { '=', 'flags', { is_sync = true } } })
        end
    end)
end

-- What clients call. An error "not the leader" promises that nothing was done.
local function leads()
    if box.info.ro then error('not the leader', 0) end
end

-- Once it is confirmed, all is that was seen before it, and nobody else led meanwhile.
local function barrier()
    box.space.barriers:upsert({ id, 1 }, { { '+', 2, 1 } })
end

function add(set, element)
    leads()
    box.space.elements:insert({ set, element })
end

function elements(set)
    leads()
    local found = {}
    for _, tuple in box.space.elements:pairs(set) do table.insert(found, tuple.element) end
    barrier()
    return found
end

function write(key, value)
    leads()
    box.space.registers:replace({ key, value })
end

function read(key)
    leads()
    local tuple = box.space.registers:get(key)
    barrier()
    return tuple and tuple.value or nil
end

local function is_following()
    for _, replica in pairs(box.info.replication) do
        local upstream = replica.upstream
        if upstream and upstream.status == 'follow' and upstream.idle < PATIENCE then return true end
    end
    return false
end

local function promote()
    log.info('gives up the leader')
    local file = fio.open('promoted', { 'O_CREAT', 'O_WRONLY' }, tonumber('644', 8))
    file:fsync()
    file:close()
    promoted = true
    box.cfg { replication = sources() }
end

local function lead()
    box.cfg { read_only = false }
    box.ctl.clear_synchro_queue()
    log.info('leads, and its queue is clear')
end

local function supervise()
    local heard = fiber.clock()
    while not promoted do
        fiber.sleep(0.1)
        if is_following() then heard = fiber.clock() end
        if fiber.clock() - heard > PATIENCE then promote() end
    end
    lead()
end

-- Says whether it can be worked with, for who waits for that.
local function health(connection)
    local leads = id == 1 and not box.info.ro
    local body = leads and 'leads' or is_following() and 'follows' or 'waits'
    connection:read('\r\n\r\n', 1)
    connection:write('HTTP/1.1 200 OK\r\nContent-Length: ' .. #body .. '\r\n\r\n' .. body)
end

if id == 2 then fiber.create(supervise) end
socket.tcp_server(ips[id], HEALTH_PORT, health)
