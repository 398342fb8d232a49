//! `json`.

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use serde_json::{Map, Number, Value as Json};

use super::{Api, When, failure};

/// Tables within tables.
const MAX_DEPTH: usize = 32;
/// Most bytes of a text, either way.
const MAX_TEXT: usize = 1 << 20;
/// Mark of a table that is an array also when it is empty.
const ARRAY: &str = "pppoed.array";

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let json = api.lua.create_table()?;
    api.lua.set_named_registry_value(ARRAY, api.lua.create_table()?)?;
    json.raw_set("null", Value::NULL)?;
    api.add(&json, ("json.encode", "encode"), When::Always, |lua, _, value: Value| {
        match encode(lua, &value) {
            Ok(text) => Ok(MultiValue::from_iter([Value::String(lua.create_string(text)?)])),
            Err(why) => failure(lua, why),
        }
    })?;
    api.add(&json, ("json.decode", "decode"), When::Always, |lua, _, text: LuaString| {
        if text.as_bytes().len() > MAX_TEXT {
            return failure(lua, format!("the text has more than {MAX_TEXT} bytes"));
        }
        match serde_json::from_slice(&text.as_bytes()) {
            Ok(json) => Ok(MultiValue::from_iter([to_lua(lua, json)?])),
            Err(error) => failure(lua, error.to_string()),
        }
    })?;
    api.add(&json, ("json.array", "array"), When::Always, |lua, _, table: Option<Table>| {
        let table = match table {
            Some(table) => table,
            None => lua.create_table()?,
        };
        table.set_metatable(Some(lua.named_registry_value::<Table>(ARRAY)?))?;
        Ok(table)
    })?;
    globals.raw_set("json", json)
}

/// A value as JSON, or as what it is, for an administrator to read.
pub(in super::super) fn show(lua: &Lua, value: &Value) -> String {
    match encode(lua, value) {
        Ok(text) => text,
        Err(why) => format!("a {} ({why})", value.type_name()),
    }
}

fn encode(lua: &Lua, value: &Value) -> Result<String, String> {
    let array = lua.named_registry_value::<Table>(ARRAY).map_err(|error| error.to_string())?;
    let mut room = MAX_TEXT;
    let json = from_lua(value, &array, MAX_DEPTH, &mut room)?;
    Ok(json.to_string())
}

fn from_lua(value: &Value, array: &Table, depth: usize, room: &mut usize) -> Result<Json, String> {
    let mut take = |bytes: usize| {
        *room = room.checked_sub(bytes).ok_or_else(|| format!("the text has more than {MAX_TEXT} bytes"))?;
        Ok::<(), String>(())
    };
    take(1)?;
    Ok(match value {
        Value::Nil => Json::Null,
        value if *value == Value::NULL => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Number(number) => {
            Json::Number(Number::from_f64(*number).ok_or_else(|| format!("JSON has no {number}"))?)
        }
        Value::String(text) => {
            take(text.as_bytes().len())?;
            Json::String(text.to_string_lossy())
        }
        Value::Table(table) => {
            let depth =
                depth.checked_sub(1).ok_or_else(|| format!("more than {MAX_DEPTH} tables in each other"))?;
            let length = table.raw_len();
            let pairs: Vec<(Value, Value)> =
                table.pairs().collect::<mlua::Result<_>>().map_err(|error| error.to_string())?;
            let is_marked = table.metatable().is_some_and(|meta| meta == *array);
            if pairs.len() == length && (length > 0 || is_marked) {
                let elements = table.sequence_values::<Value>().map(|element| {
                    from_lua(&element.map_err(|error| error.to_string())?, array, depth, room)
                });
                return elements.collect::<Result<_, String>>().map(Json::Array);
            }
            let mut object = Map::new();
            for (key, value) in pairs {
                let key = match key {
                    Value::String(key) => key.to_string_lossy(),
                    Value::Integer(key) => key.to_string(),
                    other => return Err(format!("a key is a {}", other.type_name())),
                };
                *room = room
                    .checked_sub(key.len())
                    .ok_or_else(|| format!("the text has more than {MAX_TEXT} bytes"))?;
                object.insert(key, from_lua(&value, array, depth, room)?);
            }
            Json::Object(object)
        }
        other => return Err(format!("JSON has no {}", other.type_name())),
    })
}

/// serde_json has limited the depth already.
fn to_lua(lua: &Lua, json: Json) -> mlua::Result<Value> {
    Ok(match json {
        Json::Null => Value::NULL,
        Json::Bool(value) => Value::Boolean(value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(elements) => {
            let table = lua.create_table_with_capacity(elements.len(), 0)?;
            for element in elements {
                table.raw_push(to_lua(lua, element)?)?;
            }
            table.set_metatable(Some(lua.named_registry_value::<Table>(ARRAY)?))?;
            Value::Table(table)
        }
        Json::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (name, member) in members {
                table.raw_set(name, to_lua(lua, member)?)?;
            }
            Value::Table(table)
        }
    })
}
