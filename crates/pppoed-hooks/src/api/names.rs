//! `names`: names as text, and back.

use mlua::{LuaString, Table};
use ppp_wire::name::{NameText, bytes_of};

use super::{Api, When};

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let names = api.lua.create_table()?;
    api.add(&names, ("names.text", "text"), When::Always, |_, _, name: Option<LuaString>| {
        Ok(name.map(|name| NameText(&name.as_bytes()).to_string()))
    })?;
    api.add(&names, ("names.bytes", "bytes"), When::Always, |lua, _, text: Option<LuaString>| {
        text.map(|text| lua.create_string(bytes_of(&text.as_bytes()))).transpose()
    })?;
    globals.raw_set("names", names)
}
