-- routes.lua: networks behind subscribers.
--
-- Sets the routes when the session is up; the kernel removes them with the interface. After a change of the table,
-- `pppctl reload` changes the routes of the sessions that run.
--
-- pppoed drops packets whose source is not the subscriber's own address. For the subscribers of this table
-- that is left to the kernel, which knows their routes: the script switches pppoed's check off and the kernel's
-- strict one (rp_filter, RFC 3704) on. A subscriber who is put into the table has to dial again for that.

-- Settings -----------------------------------------------------------------------------------------------------------

local ROUTES = {
  -- ["alice"] = { "192.0.2.0/28", "198.51.100.64/26" },
}
-- What the routes are marked with, so that others are left alone: `ip route show proto 186`.
local PROTOCOL = "186"

-----------------------------------------------------------------------------------------------------------------------

local function ip(...)
  local result, why = exec { "ip", ... }
  if not result then
    log.failure("not run: " .. why)
  elseif not result.ok then
    log.failure("ip " .. table.concat({ ... }, " ") .. ": " .. result.stderr)
  end
end

local function set_route(s, network)
  ip("route", "replace", network, "dev", s.ifname, "src", s.iplocal, "proto", PROTOCOL)
end

-- Makes the routes what the table says, and returns how many were missing. The kernel is asked before the sessions are, so the
-- routes of one that is about to be up are left alone.
local function reconcile()
  local listed, why = exec { "ip", "-4", "route", "show", "proto", PROTOCOL, max_output = 1 << 20 }
  if not listed or not listed.ok or listed.truncated then
    log.failure("the routes are not compared: " .. (why or listed.stderr))
    return 0
  end
  local function key(network, ifname) return network:gsub("/32$", "") .. " dev " .. ifname end
  local left, missing = {}, 0
  for network, ifname in listed.stdout:gmatch("(%S+) dev (%S+)[^\n]*") do
    left[key(network, ifname)] = { network, ifname }
  end
  for s in each_session { "state", "username", "ifname", "iplocal" } do
    for _, network in ipairs(ROUTES[s.username] or {}) do
      local name = key(network, s.ifname)
      if not left[name] and s.state == "open" then
        set_route(s, network)
        missing = missing + 1
      end
      left[name] = nil
    end
  end
  for _, route in pairs(left) do
    ip("route", "delete", route[1], "dev", route[2], "proto", PROTOCOL)
  end
  return missing
end

-- The secrets files decide who gets in.
function auth(s)
  if ROUTES[s.username] then return { options = { "nosourcecheck" } } end
end

-- Before the first packet.
function ip_pre_up(s)
  if not ROUTES[s.username] then return end
  local ok, why = file.write("/proc/sys/net/ipv4/conf/" .. s.ifname .. "/rp_filter", "1\n")
  -- Without either check the subscriber could send in anybody's name.
  if not ok then return false, why end
  for _, network in ipairs(ROUTES[s.username]) do set_route(s, network) end
end

function reload() reconcile() end

-- The kernel forgets them when somebody sets the interface down, or removes its address.
every(60, function()
  local missing = reconcile()
  if missing > 0 then log.repaired(missing .. " routes were missing") end
end)
