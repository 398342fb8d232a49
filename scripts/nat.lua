-- nat.lua: subscribers reach the Internet by this server's own address.
--
-- Keeps the addresses of the subscribers in a set of nftables and masquerades what they send. An address is in the set
-- before the first packet of its session can pass. Other rules of nftables, and those of iptables, are left alone:
-- this script has a table of its own (`nft list table ip pppoed_nat`).

-- Settings -----------------------------------------------------------------------------------------------------------

-- The interface towards the Internet, such as "eth0". nil: every interface that is not a subscriber's.
local UPLINK = nil
-- Names of the subscribers' interfaces.
local SUBSCRIBERS = "ppp*"
-- Whether to switch net.ipv4.ip_forward on while the server runs. It is put back as it was when the server ends.
local FORWARD = true

-----------------------------------------------------------------------------------------------------------------------

local FAMILY, TABLE, SET = "ip", "pppoed_nat", "subscribers"
local IP_FORWARD = "/proc/sys/net/ipv4/ip_forward"

local function run(rules)
  local ok, why = rules:run()
  if not ok then error("nft: " .. why, 0) end
end

-- Puts table, set and rule as they should be, in one transaction: packets find either the old rules or the new ones.
-- Elements stay: sessions of an earlier pppoed go on, and come back to this one a moment later. An element too many
-- does no harm, one that lacks would. Those of all sessions are added, as this script may be new.
function server_start()
  local rules = nft()
  rules:add_table(FAMILY, TABLE)
  rules:add_set(FAMILY, TABLE, SET, { type = "ipv4_addr" })
  rules:add_chain(FAMILY, TABLE, "postrouting", { type = "nat", hook = "postrouting", priority = 100 })
  rules:flush_chain(FAMILY, TABLE, "postrouting")
  if UPLINK then
    rules:add_rule(FAMILY, TABLE, "postrouting", "ip saddr @%s oifname %q masquerade", SET, UPLINK)
  else
    rules:add_rule(FAMILY, TABLE, "postrouting", "ip saddr @%s oifname != %q masquerade", SET, SUBSCRIBERS)
  end
  run(rules)

  -- In pieces: a transaction has room for 10000 commands.
  local addresses = {}
  for s in each_session { "ipremote" } do addresses[#addresses + 1] = s.ipremote end
  for first = 1, #addresses, 1000 do
    local elements = nft()
    elements:add_element(FAMILY, TABLE, SET, table.unpack(addresses, first, math.min(first + 999, #addresses)))
    run(elements)
  end

  if FORWARD and (file.read(IP_FORWARD) or ""):match("%d") ~= "1" then
    local ok, why = file.write(IP_FORWARD, "1\n")
    if not ok then error(why, 0) end
    store.set("nat.ip_forward", "0")
    log.info("net.ipv4.ip_forward is on now")
  end
end

reload = server_start

function ip_pre_up(s)
  local rules = nft()
  rules:add_element(FAMILY, TABLE, SET, s.ipremote)
  run(rules)
end

-- The address is given to nobody else before this has returned.
function ip_down(s)
  local rules = nft()
  rules:delete_element(FAMILY, TABLE, SET, s.ipremote)
  run(rules)
end

function server_stop()
  local rules = nft()
  rules:delete_table(FAMILY, TABLE)
  run(rules)
  if store.get("nat.ip_forward") then
    file.write(IP_FORWARD, "0\n")
    store.set("nat.ip_forward", nil)
  end
end
