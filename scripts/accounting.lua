-- accounting.lua: one line of JSON for the start and the end of each session, and now and then between.
--
--   {"address":"10.0.0.2","event":"start","sid":"5c1f9a0e6b7d2c34","time":"2026-11-21T10:00:00Z","user":"al",…}
--
-- "event" is "start", "interim" or "stop"; "sid" ties them together. Bytes and packets are counted from the subscriber
-- ("rx_…") and to the subscriber ("tx_…"), since the start. A line is written as a whole or not at all, and opened anew
-- each time, so that logrotate needs no signal:
--
--   /var/log/pppoed-accounting.json { monthly rotate 24 compress delaycompress missingok notifempty }
--
-- While the file cannot be written, lines wait in the store, which lasts over restarts. A session that ended while
-- nobody looked (a crash of the machine) has its "stop" INTERIM seconds after the next start, with the counters of its
-- last line and "reason":"unknown".

-- Settings -----------------------------------------------------------------------------------------------------------

local FILE = "/var/log/pppoed-accounting.json"
-- Seconds between two lines of a session, and between two attempts to write what waits. Not less than 30: sessions of
-- an earlier pppoed need a moment to come back.
local INTERIM = 300

-----------------------------------------------------------------------------------------------------------------------

local OPEN, WAITING = "accounting.open.", "accounting.waiting."
-- Those of record().
local FIELDS = {
  "sid", "id", "state", "username", "ipremote", "mac", "interface", "ifname", "service", "circuit_id", "remote_id",
  "connect_time", "rx_bytes", "rx_packets", "tx_bytes", "tx_packets", "reason", "detail",
}

local function keep(line)
  local key = WAITING .. string.format("%012d", store.add("accounting.number", 1))
  local ok, why = store.set(key, line)
  -- Then the log is the only place that is left.
  if not ok then log.failure(why .. ", so this is not in " .. FILE .. ": " .. line) end
end

local function write(record)
  local line = json.encode(record) .. "\n"
  local ok, why = file.append(FILE, line)
  if not ok then
    log.failure(why .. "; the line waits in the store")
    keep(line)
  end
end

local function record(s, event)
  return {
    time = os.date("!%Y-%m-%dT%H:%M:%SZ"),
    event = event,
    sid = s.sid,
    session_id = s.id,
    user = names.text(s.username),
    address = s.ipremote,
    mac = s.mac,
    interface = s.interface,
    ifname = s.ifname,
    service = names.text(s.service),
    circuit_id = names.text(s.circuit_id),
    remote_id = names.text(s.remote_id),
    connect_time = s.connect_time,
    rx_bytes = s.rx_bytes,
    rx_packets = s.rx_packets,
    tx_bytes = s.tx_bytes,
    tx_packets = s.tx_packets,
    reason = s.reason,
    detail = s.detail,
  }
end

-- What a session whose end nobody tells would have as its end.
local function remember(entry)
  store.set(OPEN .. entry.sid, json.encode(entry))
end

function ip_up(s)
  local entry = record(s, "start")
  write(entry)
  remember(entry)
end

function ip_down(s)
  write(record(s, "stop"))
  store.set(OPEN .. s.sid, nil)
end

local function write_what_waits()
  for _, key in ipairs(store.keys(WAITING)) do
    local line = store.get(key)
    if line and not file.append(FILE, line) then return end
    store.set(key, nil)
  end
end

every(INTERIM, function()
  write_what_waits()
  -- In this order: a session that ends meanwhile is gone from the store before it is gone from the list.
  local keys, alive = store.keys(OPEN), {}
  for s in each_session(FIELDS) do
    alive[s.sid] = true
    -- Only what has a start, and no stop yet.
    if s.state == "open" and store.get(OPEN .. s.sid) then
      local entry = record(s, "interim")
      write(entry)
      remember(entry)
    end
  end
  for _, key in ipairs(keys) do
    local text = not alive[key:sub(#OPEN + 1)] and store.get(key)
    if text then
      local entry = json.decode(text)
      entry.event, entry.reason, entry.detail = "stop", "unknown", "it ended while pppoed did not run"
      entry.time = os.date("!%Y-%m-%dT%H:%M:%SZ")
      write(entry)
      store.set(key, nil)
    end
  end
end)
