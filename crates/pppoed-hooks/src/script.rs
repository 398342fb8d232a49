//! One file, loaded: a Lua state of its own, with what scripts may use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, HookTriggers, Lua, LuaOptions, MultiValue, StdLib, Table, Value, VmState};
use ppp_ipc::hooks::{self, Argument, Event, FileReport};
use pppoed_config::hook_scripts;

use super::api::{self, Declared};
use super::host::Host;
use super::values;

/// Lua instructions between two looks at where a script is. Together some milliseconds' worth.
const LOOK_INTERVAL: u32 = 200_000;

/// A script and its functions.
#[derive(Debug)]
pub(super) struct Script {
    /// Name of the file without its directory, as in Lua's messages.
    name: String,
    lua: Lua,
    events: BTreeMap<Event, Function>,
    declared: Declared,
    memory_limit: usize,
}

/// Why a call failed, and whether its Lua state can go on.
#[derive(Debug)]
pub(super) struct ScriptError {
    /// With file, line and traceback.
    pub(super) message: String,
    pub(super) is_out_of_memory: bool,
}

impl Script {
    /// Loads a file and runs its main chunk.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub(super) fn load(
        source: hook_scripts::Script,
        memory_limit: usize,
        host: &Rc<Host>,
    ) -> Result<Self, String> {
        let hook_scripts::Script { name, text } = source;
        // Bytecode is not checked by Lua, and could crash it.
        if text.first() == Some(&0x1b) {
            return Err(format!("{name}: this is no text, but compiled Lua"));
        }
        let told = |error: mlua::Error| describe(&error);
        let lua = state(memory_limit).map_err(told)?;
        watch(&lua, &name, host).map_err(told)?;
        let declared = Rc::new(RefCell::new(Declared::default()));
        api::install(&lua, host, &declared).map_err(told)?;
        let chunk = lua.load(text).set_name(format!("@{name}")).set_mode(ChunkMode::Text);
        chunk.exec().map_err(told)?;
        let events = functions(&name, &lua.globals())?;
        let declared = std::mem::take(&mut *declared.borrow_mut());
        Ok(Self { name, lua, events, declared, memory_limit })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn report(&self) -> FileReport {
        FileReport {
            events: self.events.keys().copied().collect(),
            every: self.declared.every.iter().map(|(seconds, _)| *seconds).collect(),
            deadline: self.declared.deadline,
        }
    }

    /// Calls a function; `Ok(None)` if there is none of the kind.
    pub(super) fn call(
        &self,
        function: hooks::Function,
        arguments: Vec<Argument>,
        host: &Host,
    ) -> Result<Option<MultiValue>, ScriptError> {
        let found = match function {
            hooks::Function::Event(event) => self.events.get(&event),
            hooks::Function::Every(number) => {
                self.declared.every.get(usize::from(number)).map(|(_, function)| function)
            }
        };
        let Some(found) = found else { return Ok(None) };
        let line = found.info().line_defined.unwrap_or(0);
        host.note_place(&self.name, line);
        let values = arguments.into_iter().map(|argument| values::argument(&self.lua, argument));
        let outcome = values.collect::<mlua::Result<MultiValue>>().and_then(|values| found.call(values));
        outcome.map(Some).map_err(|error| ScriptError {
            message: describe(&error),
            is_out_of_memory: matches!(cause(&error), mlua::Error::MemoryError(_)),
        })
    }

    /// Whether so much memory is in use that the next call might not have enough: something was kept in globals.
    pub(super) fn is_worn(&self) -> bool {
        let is_full = || self.lua.used_memory() > self.memory_limit / 2;
        // What nobody uses any more may still be waiting to be collected.
        is_full() && (self.lua.gc_collect().is_err() || is_full())
    }

    /// A value as somebody would write it, for the administrator.
    pub(super) fn show(&self, returned: &MultiValue) -> String {
        let shown: Vec<String> = returned.iter().map(|value| api::json::show(&self.lua, value)).collect();
        shown.join(", ")
    }
}

/// A Lua state with the part of the standard library that does no harm by itself. What executes programs, loads native
/// code or foreign bytecode (which can crash Lua) is not there.
fn state(memory_limit: usize) -> mlua::Result<Lua> {
    let libraries =
        StdLib::COROUTINE | StdLib::TABLE | StdLib::OS | StdLib::STRING | StdLib::UTF8 | StdLib::MATH;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    lua.set_memory_limit(memory_limit)?;
    let globals = lua.globals();
    for name in ["dofile", "loadfile", "require", "package", "io"] {
        globals.raw_set(name, Value::Nil)?;
    }
    let all: Table = globals.raw_get("os")?;
    let os = lua.create_table()?;
    for name in ["clock", "date", "difftime", "time"] {
        os.raw_set(name, all.raw_get::<Value>(name)?)?;
    }
    globals.raw_set("os", os)?;
    globals.raw_get::<Table>("string")?.raw_set("dump", Value::Nil)?;
    Ok(lua)
}

/// Has the host note now and then where the script is, for the case that it must be killed.
fn watch(lua: &Lua, name: &str, host: &Rc<Host>) -> mlua::Result<()> {
    let (host, name) = (host.clone(), name.to_owned());
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(LOOK_INTERVAL), move |_, debug| {
        if let Some(line) = debug.current_line() {
            host.note_place(&name, line);
        }
        Ok(VmState::Continue)
    })
}

/// The functions with names of events.
fn functions(file: &str, globals: &Table) -> Result<BTreeMap<Event, Function>, String> {
    let mut functions = BTreeMap::new();
    for event in Event::ALL {
        match globals.raw_get::<Value>(event.as_str()).map_err(|error| describe(&error))? {
            Value::Nil => {}
            Value::Function(function) => drop(functions.insert(event, function)),
            other => {
                let kind = other.type_name();
                return Err(format!(
                    "{file}: {event} is the name of a hook, and here a {kind}: name it otherwise"
                ));
            }
        }
    }
    Ok(functions)
}

/// The error behind those of the functions that passed it on.
fn cause(error: &mlua::Error) -> &mlua::Error {
    match error {
        mlua::Error::CallbackError { cause: inner, .. } => cause(inner),
        mlua::Error::WithContext { cause: inner, .. } => cause(inner),
        other => other,
    }
}

/// Message and traceback: file and line come first.
pub(super) fn describe(error: &mlua::Error) -> String {
    let traceback = match error {
        mlua::Error::CallbackError { traceback, .. } => traceback.as_str(),
        _ => "",
    };
    let message = match cause(error) {
        mlua::Error::RuntimeError(message) | mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::MemoryError(_) => "not enough memory (--hook-memory)".to_owned(),
        other => other.to_string(),
    };
    match traceback.is_empty() {
        true => message,
        false => format!("{message}\n{traceback}"),
    }
}
