-- deny-and-hours.lua: who may never come, and when the others may.
--
-- A device on the list is not answered at all, a user on the list is refused, and so is anybody outside of the opening
-- hours. Sessions that are open when the hours close are ended. After a change, `pppctl reload`: sessions that are
-- against the new rules end within seconds.

-- Settings -----------------------------------------------------------------------------------------------------------

local DENIED_USERS = {
  -- ["mallory"] = true,
}
local DENIED_DEVICES = {
  -- ["02:00:5e:10:00:01"] = true,
}

-- Opening hours in the server's own time zone, "HH:MM" or "HH:MM:SS". They may go over midnight: { "18:00", "02:00" }.
-- A day without an entry is closed; nil instead of a table is always open.
local HOURS = nil
-- local HOURS = {
--   monday = { "08:00", "22:00" }, tuesday = { "08:00", "22:00" }, wednesday = { "08:00", "22:00" },
--   thursday = { "08:00", "22:00" }, friday = { "08:00", "02:00" }, saturday = { "10:00", "02:00" },
-- }
-- Users for whom the hours do not count.
local ALWAYS = {
  -- ["office@example.net"] = true,
}

-----------------------------------------------------------------------------------------------------------------------

local DAYS = { "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday" }

-- Seconds since midnight. Checked when the script is loaded, so that a slip of the pen is told at once.
local function seconds(text)
  local hours, minutes, rest = text:match("^(%d%d):(%d%d):?(%d*)$")
  if not hours then error("the time \"" .. text .. "\" is not like \"08:30\"", 0) end
  return hours * 3600 + minutes * 60 + (tonumber(rest) or 0)
end

local hours = {}
for day, times in pairs(HOURS or {}) do
  hours[day] = { from = seconds(times[1]), to = seconds(times[2]) }
end
for day in pairs(hours) do
  local known = false
  for _, name in ipairs(DAYS) do known = known or name == day end
  if not known then error("\"" .. day .. "\" is no day of the week", 0) end
end

local function is_open()
  if not HOURS then return true end
  local now = os.date("*t")
  local second = now.hour * 3600 + now.min * 60 + now.sec
  local today, yesterday = hours[DAYS[now.wday]], hours[DAYS[(now.wday + 5) % 7 + 1]]
  if today and today.from < today.to and second >= today.from and second < today.to then return true end
  if today and today.from >= today.to and second >= today.from then return true end
  return yesterday ~= nil and yesterday.from >= yesterday.to and second < yesterday.to
end

-- Why somebody may not be here, or nil.
local function objection(s)
  if DENIED_DEVICES[s.mac] then return "this device is not welcome" end
  if DENIED_USERS[s.username] then return "this user is not welcome" end
  if not ALWAYS[s.username] and not is_open() then return "closed at this time" end
end

function padi(p)
  if DENIED_DEVICES[p.mac] then return false end
end

function auth(s)
  local why = objection(s)
  if why then return false, why end
end

every(5, function()
  for s in each_session { "sid", "state", "username", "mac" } do
    local why = s.state == "open" and objection(s)
    if why then terminate(s.sid, why) end
  end
end)
