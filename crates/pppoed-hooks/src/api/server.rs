//! What scripts ask of the server: sessions and the store.

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use ppp_ipc::hooks::{MAX_STORE_VALUE, Question, Reply, SessionFields, StoreValue, Which};

use super::super::host::Host;
use super::super::values;
use super::{Api, When, failure, outcome};

/// Keys that `store.keys` returns at most: all that the store takes.
const MAX_KEYS: usize = 131_072;

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let all = |lua: &Lua, host: &Host, fields: Option<Table>| {
        let list = lua.create_table()?;
        let mut sessions = Sessions::new(field_names(fields)?);
        while let Some(session) = sessions.next(host)? {
            list.raw_push(values::table(lua, session.fields)?)?;
        }
        Ok(list)
    };
    api.add(globals, ("sessions", "sessions"), When::InCalls, all)?;
    let host = api.host.clone();
    let each = move |lua: &Lua, _: &Host, fields: Option<Table>| {
        let (mut sessions, host) = (Sessions::new(field_names(fields)?), host.clone());
        lua.create_function_mut(move |lua, _: MultiValue| {
            if !host.is_calling() {
                return Err(mlua::Error::runtime("each_session: not in the main chunk"));
            }
            match sessions.next(&host)? {
                Some(session) => values::table(lua, session.fields),
                None => Ok(Value::Nil),
            }
        })
    };
    api.add(globals, ("each_session", "each_session"), When::InCalls, each)?;
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
        let (key, value) = (key(&name)?, values::to_store(&value)?);
        // Said by the store as well, but a question must fit into a frame.
        if let Some(StoreValue::Bytes(bytes)) = &value
            && bytes.len() > MAX_STORE_VALUE
        {
            return failure(
                lua,
                format!("a value of {} bytes exceeds the maximum of {MAX_STORE_VALUE}", bytes.len()),
            );
        }
        done(lua, host.ask(Question::StoreSet(key, value)))
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

/// All sessions, of which a page at a time is in memory.
struct Sessions {
    fields: Vec<String>,
    page: std::vec::IntoIter<SessionFields>,
    after: u16,
    more: bool,
}

impl Sessions {
    fn new(fields: Vec<String>) -> Self {
        Self { fields, page: Vec::new().into_iter(), after: 0, more: true }
    }

    fn next(&mut self, host: &Host) -> mlua::Result<Option<SessionFields>> {
        loop {
            if let Some(session) = self.page.next() {
                self.after = session.id;
                return Ok(Some(session));
            }
            if !self.more {
                return Ok(None);
            }
            let question = Question::Sessions { after: self.after, fields: self.fields.clone() };
            let Reply::Sessions { sessions, more } = host.ask(question) else {
                return Err(unexpected());
            };
            // A page without sessions would be asked for again and again.
            self.more = more && !sessions.is_empty();
            self.page = sessions.into_iter();
        }
    }
}

/// Names of fields in a list. None are all.
fn field_names(list: Option<Table>) -> mlua::Result<Vec<String>> {
    /// More than there are fields, and longer than their names.
    const MOST: usize = 128;
    let Some(list) = list else { return Ok(Vec::new()) };
    let names = list.sequence_values().take(MOST + 1).collect::<mlua::Result<Vec<String>>>()?;
    if names.is_empty() || names.len() > MOST || names.iter().any(|name| name.len() > MOST) {
        let problem = format!("the list must have 1 to {MOST} names of fields, of up to {MOST} bytes");
        return Err(mlua::Error::runtime(problem));
    }
    Ok(names)
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
        length => {
            Err(mlua::Error::runtime(format!("a text of {length} bytes exceeds the maximum of {MOST}")))
        }
    }
}

fn key(name: &LuaString) -> mlua::Result<Vec<u8>> {
    short(name.as_bytes().to_vec())
}
