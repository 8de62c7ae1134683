//! The function library: its text, its version, and how it gets into Redis.
//!
//! Names of functions are global in Redis and carry the version, so roles of two versions work side
//! by side during a roll-out. Whoever changes the text counts the version up; a test pins the two
//! to each other. While two versions are in use, a bar that was taken through one isn't known to
//! the other, so during such a roll-out NOT_PLACED may be followed by a hold.

use redis::Value;

/// A library as it is loaded.
#[derive(Clone, Copy)]
pub(super) struct Library {
    /// What Redis calls it.
    pub(super) name: &'static str,
    /// What the names of its functions begin with.
    pub(super) prefix: &'static str,
    pub(super) text: &'static str,
}

macro_rules! library {
    ($name:literal, $clock:literal) => {
        Library {
            name: $name,
            prefix: concat!($name, "_"),
            text: concat!(
                "#!lua name=",
                $name,
                "\nlocal NAMES = '",
                $name,
                "_'\n",
                include_str!("library/register.lua"),
                include_str!($clock),
                include_str!("library/keeper.lua"),
                include_str!("library/attempts.lua"),
                include_str!("library/shard.lua"),
                include_str!("library/waiting.lua"),
                include_str!("library/reserve.lua"),
                include_str!("library/settle.lua"),
                include_str!("library/close.lua"),
                include_str!("library/stage.lua"),
                include_str!("library/activate.lua"),
                include_str!("library/peek.lua"),
                include_str!("library/find.lua"),
                include_str!("library/due.lua"),
                include_str!("library/postpone.lua"),
                include_str!("library/holds.lua"),
                include_str!("library/count.lua"),
                include_str!("library/known.lua"),
                include_str!("library/forget.lua"),
                include_str!("library/now.lua"),
            ),
        }
    };
}

/// The one that is used.
pub(super) const LIBRARY: Library = library!("seckill_v3", "library/clock.lua");

/// The same with a clock that tests move.
#[cfg(test)]
pub(super) const OF_TESTS: Library = library!("seckill_of_tests", "library/clock_of_tests.lua");

impl Library {
    /// The command that loads it. Redis refuses it if a library of that name is there.
    pub(super) fn load(&self) -> redis::Cmd {
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg(self.text);
        load
    }

    /// The command that asks for it and its text.
    pub(super) fn list(&self) -> redis::Cmd {
        let mut list = redis::cmd("FUNCTION");
        list.arg("LIST").arg("LIBRARYNAME").arg(self.name).arg("WITHCODE");
        list
    }

    /// Whether the answer to [`Library::load`] says that it is there now.
    pub(super) fn is_there(answer: &Value) -> bool {
        match answer {
            Value::ServerError(error) => {
                error.details().is_some_and(|detail| detail.contains("already exists"))
            }
            _ => true,
        }
    }

    /// The text in the answer to [`Library::list`]; none if it isn't there.
    pub(super) fn text_in(answer: Value) -> Option<String> {
        let libraries: Vec<Value> = redis::from_redis_value(answer).ok()?;
        let library: std::collections::HashMap<String, Value> =
            redis::from_redis_value(libraries.into_iter().next()?).ok()?;
        redis::from_redis_value(library.get("library_code")?.clone()).ok()
    }
}

#[cfg(test)]
mod tests;
