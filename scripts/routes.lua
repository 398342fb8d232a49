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

local function set_routes(s)
  for _, network in ipairs(ROUTES[s.username] or {}) do
    ip("route", "replace", network, "dev", s.ifname, "src", s.iplocal, "proto", PROTOCOL)
  end
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
  set_routes(s)
end

function reload()
  for s in each_session { "state", "username", "ifname", "iplocal" } do
    if s.state == "open" then
      ip("route", "flush", "dev", s.ifname, "proto", PROTOCOL)
      set_routes(s)
    end
  end
end
