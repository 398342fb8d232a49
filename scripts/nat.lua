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
-- sessions are asked for after the set: an address that is given to one meanwhile is not taken away.
local function reconcile()
  local before = in_the_set()
  local addresses, is_used = {}, {}
  for s in each_session { "ipremote" } do
    if s.ipremote then
      addresses[#addresses + 1] = s.ipremote
      is_used[s.ipremote] = true
    end
  end
  add(addresses)
  local left = {}
  for _, address in ipairs(before or {}) do
    if not is_used[address] then left[#left + 1] = address end
  end
  add(left, true)
  if #left > 0 then log.info(#left .. " addresses without a session were in the set") end
end

-- Puts table, set and rule as they should be, in one transaction: packets find either the old rules or the new ones. Elements
-- of sessions stay.
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

  reconcile()

  if FORWARD and (file.read(IP_FORWARD) or ""):match("%d") ~= "1" then
    local ok, why = file.write(IP_FORWARD, "1\n")
    if not ok then error(why, 0) end
    store.set("nat.ip_forward", "0")
    log.info("net.ipv4.ip_forward is on now")
  end
end

reload = server_start

-- A session whose worker came back late has its address again by then.
every(60, reconcile)

function ip_pre_up(s) add { s.ipremote } end

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
