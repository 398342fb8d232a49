//! What scripts ask of the server: sessions and the store.

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use ppp_ipc::hooks::{Question, Reply, SessionFields, Which};

use super::super::host::Host;
use super::super::values;
use super::{Api, When, failure, outcome};

/// Keys that `store.keys` returns at most.
const MAX_KEYS: usize = 10_000;

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    api.add(globals, ("sessions", "sessions"), When::InCalls, |lua, host, ()| sessions(lua, host))?;
    api.add(globals, ("session", "session"), When::InCalls, |lua, host, session: Value| {
        match host.ask(Question::Session(which(&session)?)) {
            Reply::Sessions { sessions, .. } => match sessions.into_iter().next() {
                Some(session) => values::table(lua, session.fields),
                None => Ok(Value::Nil),
            },
            _ => Err(unexpected()),
        }
    })?;
    let terminate = |lua: &Lua, host: &Host, (session, text): (Value, Option<LuaString>)| {
        let text = text.map_or_else(Vec::new, |text| text.as_bytes().to_vec());
        done(lua, host.ask(Question::Terminate { which: which(&session)?, text: short(text)? }))
    };
    api.add(globals, ("terminate", "terminate"), When::InCalls, terminate)?;
    let set_rate = |lua: &Lua, host: &Host, (session, down, up): (Value, u32, u32)| {
        done(lua, host.ask(Question::SetRate { which: which(&session)?, down, up }))
    };
    api.add(globals, ("set_rate", "set_rate"), When::InCalls, set_rate)?;
    install_store(api, globals)
}

fn install_store(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let store = api.lua.create_table()?;
    api.add(&store, ("store.get", "get"), When::InCalls, |lua, host, name: LuaString| {
        match host.ask(Question::StoreGet(key(&name)?)) {
            Reply::Value(value) => values::from_store(lua, value),
            _ => Err(unexpected()),
        }
    })?;
    api.add(&store, ("store.set", "set"), When::InCalls, |lua, host, (name, value): (LuaString, Value)| {
        done(lua, host.ask(Question::StoreSet(key(&name)?, values::to_store(&value)?)))
    })?;
    api.add(&store, ("store.add", "add"), When::InCalls, |lua, host, (name, number): (LuaString, Value)| {
        let number = match &number {
            Value::Integer(_) | Value::Number(_) => values::to_store(&number)?,
            other => return Err(mlua::Error::runtime(format!("a {} cannot be added", other.type_name()))),
        };
        let Some(number) = number else { return Err(unexpected()) };
        match host.ask(Question::StoreAdd(key(&name)?, number)) {
            Reply::Value(value) => Ok(MultiValue::from_iter([values::from_store(lua, value)?])),
            Reply::Done(Err(why)) => failure(lua, why),
            _ => Err(unexpected()),
        }
    })?;
    api.add(&store, ("store.keys", "keys"), When::InCalls, |lua, host, prefix: Option<LuaString>| {
        let prefix = prefix.map_or_else(Vec::new, |prefix| prefix.as_bytes().to_vec());
        keys(lua, host, &short(prefix)?)
    })?;
    globals.raw_set("store", store)
}

fn sessions(lua: &Lua, host: &Host) -> mlua::Result<Table> {
    let list = lua.create_table()?;
    let mut after = 0;
    loop {
        let Reply::Sessions { sessions, more } = host.ask(Question::Sessions { after }) else {
            return Err(unexpected());
        };
        for SessionFields { id, fields } in sessions {
            after = id;
            list.raw_push(values::table(lua, fields)?)?;
        }
        if !more {
            return Ok(list);
        }
    }
}

fn keys(lua: &Lua, host: &Host, prefix: &[u8]) -> mlua::Result<Table> {
    let list = lua.create_table()?;
    let (mut after, mut count) = (None, 0);
    loop {
        let Reply::Keys { keys, more } = host.ask(Question::StoreKeys { prefix: prefix.to_vec(), after })
        else {
            return Err(unexpected());
        };
        for key in &keys {
            if count == MAX_KEYS {
                return Ok(list);
            }
            count += 1;
            list.raw_push(lua.create_string(key)?)?;
        }
        if !more {
            return Ok(list);
        }
        after = keys.into_iter().next_back();
    }
}

fn done(lua: &Lua, reply: Reply) -> mlua::Result<MultiValue> {
    match reply {
        Reply::Done(result) => outcome(lua, result),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> mlua::Error {
    mlua::Error::runtime("pppoed gave another answer than was asked for")
}

/// A session by its PPPoE session id or its sid.
fn which(session: &Value) -> mlua::Result<Which> {
    match session {
        Value::Integer(id) => u16::try_from(*id)
            .map(Which::Id)
            .map_err(|_| mlua::Error::runtime(format!("{id} is no session id: those are 1 to 65534"))),
        Value::String(sid) if sid.as_bytes().len() <= 32 => Ok(Which::Sid(sid.to_string_lossy())),
        other => {
            let kind = other.type_name();
            Err(mlua::Error::runtime(format!("a session is named by its id or its sid, not by a {kind}")))
        }
    }
}

/// The frames of the socket have a limit; what is a key, a prefix or a reason is far from it.
fn short(text: Vec<u8>) -> mlua::Result<Vec<u8>> {
    const MOST: usize = 1024;
    match text.len() {
        ..=MOST => Ok(text),
        length => Err(mlua::Error::runtime(format!("a text of {length} bytes; {MOST} are the most"))),
    }
}

fn key(name: &LuaString) -> mlua::Result<Vec<u8>> {
    short(name.as_bytes().to_vec())
}
