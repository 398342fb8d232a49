-- rate-limit.lua: how fast each subscriber may send and receive.
--
-- After a change of the table, `pppctl reload` gives the new limits to the sessions that run, too.

-- Settings -----------------------------------------------------------------------------------------------------------

-- In kbit/s: "down" is to the subscriber, "up" from the subscriber. 0 is no limit.
local DEFAULT = { down = 50000, up = 10000 }
local USERS = {
  -- ["alice"] = { down = 100000, up = 40000 },
  -- ["office@example.net"] = { down = 0, up = 0 },
}

-----------------------------------------------------------------------------------------------------------------------

local function rate_of(user)
  return USERS[user] or DEFAULT
end

-- The secrets files decide who gets in; this only adds the rate. So it holds from the first packet on.
function auth(s)
  return { rate = rate_of(s.username) }
end

function reload()
  for s in each_session { "sid", "username", "rate_down", "rate_up" } do
    local rate = rate_of(s.username)
    if s.username and ((s.rate_down or 0) ~= rate.down or (s.rate_up or 0) ~= rate.up) then
      -- By sid, which no later session has; one that ends meanwhile is no loss.
      local ok, why = set_rate(s.sid, rate.down, rate.up)
      if not ok then log.info("no new rate for " .. s.username .. ": " .. why) end
    end
  end
end
