//! What a function is called with, as Lua values.

use mlua::{IntoLua, Lua, Value as LuaValue};
use ppp_ipc::hooks::{Argument, Field, StoreValue, Value};

/// An argument of a call.
pub(super) fn argument(lua: &Lua, argument: Argument) -> mlua::Result<LuaValue> {
    match argument {
        Argument::Table(fields) => table(lua, fields),
        Argument::Names(names) => names.into_lua(lua),
    }
}

/// A table with these fields.
pub(super) fn table(lua: &Lua, fields: Vec<Field>) -> mlua::Result<LuaValue> {
    let table = lua.create_table_with_capacity(0, fields.len())?;
    for (name, content) in fields {
        table.raw_set(name, value(lua, content)?)?;
    }
    Ok(LuaValue::Table(table))
}

fn value(lua: &Lua, value: Value) -> mlua::Result<LuaValue> {
    let string = |bytes: &[u8]| lua.create_string(bytes).map(LuaValue::String);
    match value {
        Value::Boolean(value) => Ok(LuaValue::Boolean(value)),
        Value::Integer(number) => Ok(LuaValue::Integer(number)),
        Value::Bytes(bytes) => string(&bytes),
        Value::Secret(secret) => string(&secret.0),
        Value::List(strings) => {
            let strings = strings.iter().map(|bytes| string(bytes)).collect::<mlua::Result<Vec<_>>>()?;
            strings.into_lua(lua)
        }
        Value::Table(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (name, value) in pairs {
                table.raw_set(string(&name)?, string(&value)?)?;
            }
            Ok(LuaValue::Table(table))
        }
    }
}

/// A value of the store.
pub(super) fn from_store(lua: &Lua, value: Option<StoreValue>) -> mlua::Result<LuaValue> {
    Ok(match value {
        None => LuaValue::Nil,
        Some(StoreValue::Boolean(value)) => LuaValue::Boolean(value),
        Some(StoreValue::Integer(number)) => LuaValue::Integer(number),
        Some(StoreValue::Number(number)) => LuaValue::Number(number),
        Some(StoreValue::Bytes(bytes)) => LuaValue::String(lua.create_string(bytes)?),
    })
}

/// A value for the store; `None` for nil. A string may be longer than the store takes.
///
/// # Errors
/// For what the store cannot hold.
pub(super) fn to_store(value: &LuaValue) -> mlua::Result<Option<StoreValue>> {
    Ok(Some(match value {
        LuaValue::Nil => return Ok(None),
        LuaValue::Boolean(value) => StoreValue::Boolean(*value),
        LuaValue::Integer(number) => StoreValue::Integer(*number),
        LuaValue::Number(number) => StoreValue::Number(*number),
        LuaValue::String(text) => StoreValue::Bytes(text.as_bytes().to_vec()),
        other => {
            let kind = other.type_name();
            let problem =
                format!("the store takes strings, numbers and booleans, no {kind} (see json.encode)");
            return Err(mlua::Error::runtime(problem));
        }
    }))
}
