-- mss-clamp.lua: TCP segments fit through the narrowest link on their way through this host.
--
-- pppoed itself keeps segments as small as the subscriber's own line needs. This script is for a host whose other links
-- are narrower, such as a tunnel or another PPPoE line as the uplink: it lowers the MSS in TCP's SYN packets, both
-- ways, to what the routes to and from the subscriber take. The kernel knows those; so there is nothing to
-- do for a single session. It has a table of its own (`nft list table inet pppoed_mss`).

-- Settings -----------------------------------------------------------------------------------------------------------

-- Names of the subscribers' interfaces.
local SUBSCRIBERS = "ppp*"

-----------------------------------------------------------------------------------------------------------------------

local FAMILY, TABLE = "inet", "pppoed_mss"

local function run(rules)
  local ok, why = rules:run()
  if not ok then error("nft: " .. why, 0) end
end

function server_start()
  local rules = nft()
  rules:add_table(FAMILY, TABLE)
  rules:add_chain(FAMILY, TABLE, "forward", { type = "filter", hook = "forward", priority = -150 })
  rules:flush_chain(FAMILY, TABLE, "forward")
  for _, direction in ipairs { "iifname", "oifname" } do
    -- "rt mtu" is the smaller one of the ways there and back, less the headers. It never makes an MSS larger.
    rules:add_rule(FAMILY, TABLE, "forward",
      "%s %q tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu", direction, SUBSCRIBERS)
  end
  run(rules)
end

reload = server_start

-- Somebody may have flushed the rules (`nft flush ruleset`, a restart of a firewall).
every(60, function()
  local listed = exec { "nft", "list", "chain", FAMILY, TABLE, "forward" }
  if listed and not (listed.ok and listed.stdout:find("maxseg size set", 1, true)) then
    server_start()
    log.repaired("the table was gone, or had no rules")
  end
end)

function server_stop()
  local rules = nft()
  rules:delete_table(FAMILY, TABLE)
  run(rules)
end
