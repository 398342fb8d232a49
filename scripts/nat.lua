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

-- Addresses that are in the set; nil if nft cannot say so.
local function in_the_set()
  local listed = exec { "nft", "-j", "list", "set", FAMILY, TABLE, SET, max_output = 1 << 20 }
  if not listed or not listed.ok or listed.truncated then return nil end
  local found = {}
  for _, object in ipairs(json.decode(listed.stdout).nftables) do
    for _, address in ipairs(object.set and object.set.elem or {}) do found[#found + 1] = address end
  end
  return found
end

local function has_rule()
  local listed = exec { "nft", "list", "chain", FAMILY, TABLE, "postrouting" }
  return listed and listed.ok and listed.stdout:find("masquerade", 1, true)
end

-- In pieces, as a transaction has a limit of 1 MiB. What is to be removed is added first: nft refuses to remove what is not there.
local function add(addresses, and_remove)
  for first = 1, #addresses, 1000 do
    local last = math.min(first + 999, #addresses)
    local rules = nft()
    rules:add_element(FAMILY, TABLE, SET, table.unpack(addresses, first, last))
    if and_remove then rules:delete_element(FAMILY, TABLE, SET, table.unpack(addresses, first, last)) end
    run(rules)
  end
end

-- Makes the set what the sessions are: adds what lacks, and removes what an earlier pppoed, or somebody else, left there. The
-- set is asked for before the sessions, so an address that is given to one meanwhile is not taken away; and after them, so one
-- that is missing was not about to be added.
local function reconcile()
  local before = in_the_set() or {}
  local addresses, is_used, is_open = {}, {}, {}
  for s in each_session { "ipremote", "state" } do
    if s.ipremote then
      addresses[#addresses + 1] = s.ipremote
      is_used[s.ipremote] = true
      is_open[s.ipremote] = s.state == "open" or nil
    end
  end
  local left = {}
  for _, address in ipairs(before) do
    if not is_used[address] then left[#left + 1] = address end
  end
  for _, address in ipairs(in_the_set() or addresses) do is_open[address] = nil end
  local missing = 0
  for _ in pairs(is_open) do missing = missing + 1 end
  add(addresses)
  add(left, true)
  if #left > 0 then log.repaired(#left .. " addresses without a session were in the set") end
  if missing > 0 then log.repaired("the addresses of " .. missing .. " sessions were not in the set") end
end

-- Puts table, set and rule as they should be, in one transaction: packets find either the old rules or the new ones. Elements
-- of sessions stay.
local function set_up()
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
end

function server_start()
  set_up()
  reconcile()

  if FORWARD and (file.read(IP_FORWARD) or ""):match("%d") ~= "1" then
    local ok, why = file.write(IP_FORWARD, "1\n")
    if not ok then error(why, 0) end
    store.set("nat.ip_forward", "0")
    log.info("net.ipv4.ip_forward is on now")
  end
end

reload = server_start

-- Somebody may have flushed the rules (`nft flush ruleset`, a restart of a firewall). And a session whose worker came back late
-- has its address again by then.
every(60, function()
  if not has_rule() then
    set_up()
    log.repaired("the table was gone, or had no rule")
  end
  reconcile()
end)

-- Not even for a minute is anybody refused because somebody has flushed the rules.
function ip_pre_up(s)
  if pcall(add, { s.ipremote }) then return end
  set_up()
  reconcile()
  add { s.ipremote }
  log.repaired("the table was gone")
end

-- The address is given to nobody else before this has returned.
function ip_down(s) add({ s.ipremote }, true) end

function server_stop()
  local rules = nft()
  rules:delete_table(FAMILY, TABLE)
  run(rules)
  if store.get("nat.ip_forward") then
    file.write(IP_FORWARD, "0\n")
    store.set("nat.ip_forward", nil)
  end
end
