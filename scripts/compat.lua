-- compat.lua: runs the scripts of pppd, ip-up and its kin, as pppd under `pppoe-server -k` does.
--
-- Arguments, environment, working directory (/), umask (077) and standard input, output and error (/dev/null) are
-- pppd's. A script that is not there is passed over in silence, unless an option names it; one that others than root
-- could change, or whose interpreter is missing, is not run: the log says why, and `pppctl hooks stats` counts it as a
-- failure. Debian's /etc/ppp/ip-up runs the files in /etc/ppp/ip-up.d by itself. Options such as ip-up-script,
-- ipparam and "set NAME=value" in /etc/ppp/options, pppoe-server-options and on a user's line hold.
--
-- Not quite as with pppd:
--   * One script at a time of a session, in order; pppd runs auth-up beside ip-pre-up, and those of the end at once.
--   * A script that takes longer than DEADLINE seconds is killed. What it has put into the background stays, if it has
--     a session of its own (setsid).
--   * Each runs once in a session, also when IPv4 or IPv6 closes and opens again.
--   * net-init, net-pre-up and net-down are not run.

-- Settings -----------------------------------------------------------------------------------------------------------

-- Where the scripts are unless an option says otherwise.
local DIRECTORY = "/etc/ppp"
-- Seconds. Meanwhile the script keeps one of the hook hosts (--hook-hosts) busy.
local DEADLINE = 60

-----------------------------------------------------------------------------------------------------------------------

deadline(DEADLINE)

-- How a shell ends, and env(1), when they cannot execute what the script says. Its standard error is /dev/null.
local EXIT_HINTS = {
  [126] = ": a command in it is not executable",
  [127] = ": a command in it was not found, or a line ends with a carriage return",
}

local function run(name, arguments, environment)
  local path = arguments.path or (DIRECTORY .. "/" .. name)
  local result, why, kind = exec {
    path, env = environment, clear_env = true, umask = tonumber("077", 8), output = "null", trusted_only = true,
    table.unpack(arguments),
  }
  if result and result.timed_out then
    log.failure(path .. " was killed after " .. DEADLINE .. " s")
  elseif result and not result.ok then
    local hint = EXIT_HINTS[result.status] or ""
    log.warn(path .. " ended with " .. (result.status and "status " .. result.status or "signal " .. result.signal) .. hint)
  elseif not result and (kind ~= "missing" or arguments.path) then
    log.failure("not run: " .. why)
  end
end

-- As pppd writes control characters of a peer's name: a script never sees a line end in it, and no name has a NUL.
local function visible(name)
  return name and name:gsub("%c", function(c) return "^" .. string.char(c:byte() ~ 0x40) end) or nil
end

-- pppd sets a variable once it knows the value, and lets it be until the end.
local function environment(s, ipv4, ipv6, is_over)
  local variables = {
    DEVICE = s.interface, IFNAME = s.ifname, UNIT = s.unit,
    MACREMOTE = s.mac:upper(), REMOTENUMBER = s.mac:upper(),
    PEERNAME = visible(s.username), ORIG_UID = s.orig_uid, PPPLOGNAME = s.ppplogname, PPPD_PID = s.pppd_pid,
  }
  if ipv4 then variables.IPLOCAL, variables.IPREMOTE = s.iplocal, s.ipremote end
  if ipv6 then variables.LLLOCAL, variables.LLREMOTE = ipv6:match("(%S+) (%S+)") end
  if is_over then
    variables.CONNECT_TIME, variables.BYTES_SENT, variables.BYTES_RCVD =
      s.connect_time or 0, s.bytes_sent, s.bytes_rcvd
  end
  for name, value in pairs(s.env or {}) do variables[name] = value end
  return variables
end

-- A session's state is in the store, as each call may be made in another host. Only what is unusual, and short-lived,
-- takes a place there: IPv4 that is not up, and IPv6 that is.
local function no_ipv4(s) return "compat.no-ipv4." .. s.sid end
local function with_ipv6(s) return "compat.ipv6." .. s.sid end

local function has_ipv4(s) return not store.get(no_ipv4(s)) end
local function ipv6_ends(s)
  return store.get(with_ipv6(s)) or (s.ipv6_open and s.lllocal .. " " .. s.llremote) or nil
end

local function script(s, name) return (s.scripts or {})[name] end

local function ipv4_script(s, name, is_over)
  -- A session that was made up to try the script (`pppctl hooks run`) has not all of these.
  local words = { s.ifname or "", s.interface or "", s.speed or "", s.iplocal or "", s.ipremote or "", s.ipparam or "" }
  run(name, { path = script(s, name), table.unpack(words) },
    environment(s, true, ipv6_ends(s), is_over))
end

local function ipv6_script(s, name, ipv4, is_over)
  local ends = ipv6_ends(s)
  local ours, theirs = ends:match("(%S+) (%S+)")
  run(name, { path = script(s, name), s.ifname, s.interface, s.speed, ours, theirs, s.ipparam or "" },
    environment(s, ipv4, ends, is_over))
end

local function auth_script(s, name, ipv4, is_over)
  run(name, { path = script(s, name), s.ifname, visible(s.username), s.ppplogname, s.interface, s.speed },
    environment(s, ipv4, is_over and ipv6_ends(s), is_over))
end

local function ipv6_up(s)
  store.set(with_ipv6(s), s.lllocal .. " " .. s.llremote)
  ipv6_script(s, "ipv6-up", has_ipv4(s), false)
end

function auth_up(s)
  auth_script(s, "auth-up", false, false)
end

local function ipv4_up(s)
  local was = store.get(no_ipv4(s))
  store.set(no_ipv4(s), nil)
  if was ~= "prepared" then ipv4_script(s, "ip-pre-up", false) end
  ipv4_script(s, "ip-up", false)
end

function ip_pre_up(s)
  store.set(no_ipv4(s), s.ipv4_open and "prepared" or "closed")
  if s.ipv4_open then ipv4_script(s, "ip-pre-up", false) end
end

function ip_up(s)
  if s.ipv4_open then ipv4_up(s) end
  if s.ipv6_open then ipv6_up(s) end
end

-- The one that opens later. What closes again within the session is down when that ends.
function session_change(s)
  if s.ipv4_open and not has_ipv4(s) then ipv4_up(s) end
  if s.ipv6_open and not store.get(with_ipv6(s)) then ipv6_up(s) end
end

local function forget(s)
  store.set(no_ipv4(s), nil)
  store.set(with_ipv6(s), nil)
end

function ip_down(s)
  local ipv4 = has_ipv4(s)
  if ipv4 then ipv4_script(s, "ip-down", true) end
  if store.get(with_ipv6(s)) then ipv6_script(s, "ipv6-down", ipv4, true) end
  if s.auth_method == "none" then forget(s) end
end

-- After ip_down, if there was one.
function auth_down(s)
  local was_up = s.connect_time > 0 or s.rx_packets > 0
  auth_script(s, "auth-down", was_up and has_ipv4(s), true)
  forget(s)
end
