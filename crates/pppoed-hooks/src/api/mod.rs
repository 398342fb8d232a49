//! The functions that scripts get.

mod exec;
mod file;
pub(super) mod json;
mod names;
mod nft;
mod server;

use std::cell::RefCell;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value, Variadic};
use ppp_ipc::hooks::Level;

use super::host::Host;

/// Longest time between two calls of a function that was given to `every`, in seconds.
const LONGEST_INTERVAL: u32 = 7 * 24 * 3600;
/// Functions that one file may give to `every`.
const MAX_EVERY: usize = 16;
/// Longest deadline that a script may ask for, in seconds.
const LONGEST_DEADLINE: u32 = 600;

/// What a main chunk said about its file.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// Seconds, and the function.
    pub(super) every: Vec<(u32, Function)>,
    /// Seconds that a call may take.
    pub(super) deadline: Option<u32>,
}

/// When a function may be called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Not in the main chunk, which runs in every host.
    InCalls,
    /// Only in the main chunk.
    Loading,
}

/// Puts everything into the globals of a script.
pub(super) fn install(lua: &Lua, host: &Rc<Host>, declared: &Rc<RefCell<Declared>>) -> mlua::Result<()> {
    let api = Api { lua, host };
    let globals = lua.globals();
    install_log(&api, &globals)?;
    install_declarations(&api, &globals, declared)?;
    install_language(&api, &globals)?;
    exec::install(&api, &globals)?;
    file::install(&api, &globals)?;
    json::install(&api, &globals)?;
    names::install(&api, &globals)?;
    nft::install(&api, &globals)?;
    server::install(&api, &globals)
}

/// Makes functions out of closures.
struct Api<'a> {
    lua: &'a Lua,
    host: &'a Rc<Host>,
}

impl Api<'_> {
    /// A function whose errors name the line that called it, as those of Lua's own functions do.
    fn function<A, R>(
        &self,
        name: &'static str,
        when: When,
        body: impl Fn(&Lua, &Host, A) -> mlua::Result<R> + 'static,
    ) -> mlua::Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let host = self.host.clone();
        self.lua.create_function(move |lua, arguments: MultiValue| {
            let place = place(lua);
            if let Some((file, line)) = &place {
                host.note_place(file, *line);
            }
            let outcome = match (when, host.is_calling()) {
                (When::InCalls, false) => Err(mlua::Error::runtime(
                    "not in the main chunk, which runs in each hook host: use a function such as server_start",
                )),
                (When::Loading, true) => Err(mlua::Error::runtime("only in the main chunk")),
                _ => A::from_lua_multi(arguments, lua).and_then(|arguments| body(lua, &host, arguments)),
            };
            let returned = outcome.and_then(|returned| returned.into_lua_multi(lua));
            returned.map_err(|error| located(name, place, error))
        })
    }

    fn add<A, R>(
        &self,
        table: &Table,
        (prefix, name): (&'static str, &'static str),
        when: When,
        body: impl Fn(&Lua, &Host, A) -> mlua::Result<R> + 'static,
    ) -> mlua::Result<()>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        table.raw_set(name, self.function(prefix, when, body)?)
    }
}

/// File and line of the script's function that is calling.
fn place(lua: &Lua) -> Option<(String, usize)> {
    let look = |level| {
        lua.inspect_stack(level, |debug| {
            Some((debug.source().short_src?.into_owned(), debug.current_line()?))
        })
        .flatten()
    };
    // Between it and us there may be functions that are not written in Lua, such as pcall.
    (1..8).find_map(look)
}

fn located(name: &str, place: Option<(String, usize)>, error: mlua::Error) -> mlua::Error {
    let message = match error {
        error @ (mlua::Error::MemoryError(_) | mlua::Error::CallbackError { .. }) => return error,
        mlua::Error::RuntimeError(message) => message,
        mlua::Error::BadArgument { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    let place = place.map_or_else(String::new, |(file, line)| format!("{file}:{line}: "));
    mlua::Error::RuntimeError(format!("{place}{name}: {message}"))
}

/// `nil, message`, for what fails for reasons outside of the script.
fn failure(lua: &Lua, message: impl AsRef<[u8]>) -> mlua::Result<MultiValue> {
    let message = lua.create_string(message)?;
    Ok(MultiValue::from_iter([Value::Nil, Value::String(message)]))
}

/// `true`, or `nil, message`.
fn outcome<E: std::fmt::Display>(lua: &Lua, result: Result<(), E>) -> mlua::Result<MultiValue> {
    match result {
        Ok(()) => Ok(MultiValue::from_iter([Value::Boolean(true)])),
        Err(error) => failure(lua, error.to_string()),
    }
}

fn install_log(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let log = api.lua.create_table()?;
    for (name, full, level) in [
        ("debug", "log.debug", Level::Debug),
        ("info", "log.info", Level::Info),
        ("warn", "log.warn", Level::Warn),
        ("error", "log.error", Level::Error),
        ("failure", "log.failure", Level::Failure),
        ("repaired", "log.repaired", Level::Repaired),
    ] {
        api.add(&log, (full, name), When::Always, move |lua, host, words: Variadic<Value>| {
            host.log(level, &joined(lua, &words)?);
            Ok(())
        })?;
    }
    globals.raw_set("log", log)?;
    api.add(globals, ("print", "print"), When::Always, |lua, host, words: Variadic<Value>| {
        host.log(Level::Info, &joined(lua, &words)?);
        Ok(())
    })
}

/// As `print` does it.
fn joined(lua: &Lua, words: &[Value]) -> mlua::Result<Vec<u8>> {
    let to_string: Function = lua.globals().raw_get("tostring")?;
    let mut text = Vec::new();
    for (number, word) in words.iter().enumerate() {
        if number > 0 {
            text.push(b'\t');
        }
        match word {
            Value::String(word) => text.extend_from_slice(&word.as_bytes()),
            other => text.extend_from_slice(&to_string.call::<LuaString>(other)?.as_bytes()),
        }
    }
    Ok(text)
}

fn install_declarations(
    api: &Api<'_>,
    globals: &Table,
    declared: &Rc<RefCell<Declared>>,
) -> mlua::Result<()> {
    let of_every = declared.clone();
    let every = move |_: &Lua, _: &Host, (seconds, function): (u32, Function)| {
        if !(1..=LONGEST_INTERVAL).contains(&seconds) {
            return Err(mlua::Error::runtime(format!("the seconds must be from 1 to {LONGEST_INTERVAL}")));
        }
        let mut declared = of_every.borrow_mut();
        if declared.every.len() == MAX_EVERY {
            return Err(mlua::Error::runtime(format!("a file may have {MAX_EVERY} of these")));
        }
        declared.every.push((seconds, function));
        Ok(())
    };
    api.add(globals, ("every", "every"), When::Loading, every)?;
    let declared = declared.clone();
    let deadline = move |_: &Lua, _: &Host, seconds: u32| {
        if !(1..=LONGEST_DEADLINE).contains(&seconds) {
            return Err(mlua::Error::runtime(format!("the seconds must be from 1 to {LONGEST_DEADLINE}")));
        }
        declared.borrow_mut().deadline = Some(seconds);
        Ok(())
    };
    api.add(globals, ("deadline", "deadline"), When::Loading, deadline)
}

/// Parts of Lua's own library in a safe form.
fn install_language(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    type Load = (LuaString, Option<String>, Option<Value>, Option<Table>);
    // Bytecode is not checked by Lua, and could crash it.
    let load = |lua: &Lua, _: &Host, (text, name, _mode, environment): Load| {
        let chunk = lua.load(text.as_bytes().to_vec()).set_mode(ChunkMode::Text);
        let chunk = chunk.set_name(name.unwrap_or_else(|| "=(load)".to_owned()));
        let chunk = match environment {
            Some(environment) => chunk.set_environment(environment),
            None => chunk,
        };
        match chunk.into_function() {
            Ok(function) => Ok(MultiValue::from_iter([Value::Function(function)])),
            Err(error) => failure(lua, error.to_string()),
        }
    };
    api.add(globals, ("load", "load"), When::Always, load)?;
    let debug = api.lua.create_table()?;
    let traceback = |lua: &Lua, _: &Host, message: Option<String>| lua.traceback(message.as_deref(), 1);
    api.add(&debug, ("debug.traceback", "traceback"), When::Always, traceback)?;
    globals.raw_set("debug", debug)?;
    let hex = |_: &Lua, _: &Host, text: LuaString| {
        Ok(text.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    api.add(globals, ("hex", "hex"), When::Always, hex)
}
