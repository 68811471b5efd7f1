//! Flags as Go's programs take them: `-name`, `--name`, with `=value` or a separate one, switches also without.

use std::collections::BTreeMap;
use std::time::Duration;

use super::value::{self, Kind};

/// What a program can be told.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// What it is called in the configuration file, if not as here with underscores.
    pub(crate) config: Option<&'static str>,
    /// For people to read.
    pub(crate) default: &'static str,
    pub(crate) help: &'static str,
    /// Whether a server in memory has no use for it.
    pub(crate) idle: bool,
}

/// What it was told.
#[derive(Debug)]
pub(super) struct Flags {
    table: &'static [Flag],
    /// The values, which are good for their kinds.
    values: BTreeMap<&'static str, Vec<String>>,
}

/// What the command line is about.
#[derive(Debug)]
pub(super) enum Parsed {
    /// To run.
    Flags(Flags),
    /// To tell of the flags.
    Help,
}

impl Flag {
    /// A flag of this kind, with what is said of it.
    pub(super) const fn new(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Self {
        Self { name, kind, config: None, default, help, idle: false }
    }

    /// In the configuration file it has another name.
    pub(super) const fn in_config(mut self, name: &'static str) -> Self {
        self.config = Some(name);
        self
    }

    /// A server in memory has no use for it.
    pub(super) const fn idle(mut self) -> Self {
        self.idle = true;
        self
    }

    fn config_name(&self) -> String {
        self.config.map_or_else(|| self.name.replace('-', "_"), str::to_owned)
    }
}

impl Flags {
    /// Reads a command line, without the program's name.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in Go's words.
    pub(super) fn parse(table: &'static [Flag], arguments: impl IntoIterator<Item = String>) -> Result<Parsed, String> {
        let mut flags = Self { table, values: BTreeMap::new() };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(text) = argument.strip_prefix('-').filter(|text| !text.is_empty()) else {
                return Err(format!("unexpected argument: {argument}"));
            };
            let text = text.strip_prefix('-').unwrap_or(text);
            if text.is_empty() {
                return match arguments.next() {
                    Some(argument) => Err(format!("unexpected argument: {argument}")),
                    None => Ok(Parsed::Flags(flags)),
                };
            }
            if text.starts_with(['-', '=']) {
                return Err(format!("bad flag syntax: {argument}"));
            }
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (text, None),
            };
            let Some(flag) = table.iter().find(|flag| flag.name == name) else {
                if matches!(name, "h" | "help") {
                    return Ok(Parsed::Help);
                }
                return Err(format!("flag provided but not defined: -{name}"));
            };
            let value = match value {
                Some(value) => value,
                None if flag.kind.is_switch() => "true".to_owned(),
                None => arguments.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?,
            };
            flags.set(flag, value)?;
        }
        Ok(Parsed::Flags(flags))
    }

    /// Takes from a TOML file what the command line doesn't say; returns the keys that mean nothing.
    ///
    /// # Errors
    ///
    /// When it is no TOML, or a value is not good for its flag.
    pub(super) fn read_config(&mut self, text: &str) -> Result<Vec<String>, String> {
        let config: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let said: Vec<_> = self.values.keys().copied().collect();
        let mut unknown = Vec::new();
        for (key, value) in config {
            let Some(flag) = self.table.iter().find(|flag| flag.config_name() == key) else {
                unknown.push(key);
                continue;
            };
            if said.contains(&flag.name) {
                continue;
            }
            let values = match value {
                toml::Value::Array(values) if flag.kind.is_list() => values,
                value => vec![value],
            };
            for value in values {
                let text = match value {
                    toml::Value::String(text) => text,
                    toml::Value::Boolean(truth) => truth.to_string(),
                    toml::Value::Integer(millis) if flag.kind == Kind::Duration => format!("{millis}ms"),
                    toml::Value::Integer(number) => number.to_string(),
                    toml::Value::Float(number) => number.to_string(),
                    _ => return Err(format!("{key} can't be a {}", value.type_str())),
                };
                self.set(flag, text).map_err(|error| format!("{key}: {error}"))?;
            }
        }
        Ok(unknown)
    }

    /// The flags that were set and change nothing.
    pub(super) fn idle(&self) -> Vec<&'static str> {
        let set = self.table.iter().filter(|flag| self.values.contains_key(flag.name));
        set.filter(|flag| flag.idle).map(|flag| flag.name).collect()
    }

    /// The last value.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.table.iter().any(|flag| flag.name == name), "{name} is no flag");
        self.values.get(name)?.last().map(String::as_str)
    }

    /// All values, of which each may be several, with commas between.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).into_iter().flatten();
        values.flat_map(|value| value.split(',')).filter(|value| !value.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        value::boolean(self.text(name)?)
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        value::duration(self.text(name)?)
    }

    /// # Errors
    ///
    /// When the number doesn't fit into the type: it is negative, or too large.
    pub(super) fn number<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(number) = self.text(name).and_then(value::number) else { return Ok(None) };
        number.try_into().map(Some).map_err(|_| format!("--{name} can't be {number}"))
    }

    fn set(&mut self, flag: &'static Flag, value: String) -> Result<(), String> {
        if !flag.kind.takes(&value) {
            let what = if flag.kind.is_switch() { "boolean value" } else { "value" };
            return Err(format!("invalid {what} {value:?} for flag -{}: {}", flag.name, flag.kind.complaint(&value)));
        }
        self.values.entry(flag.name).or_default().push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Flag] = &[
        Flag::new("tcp-address", Kind::Text, "0.0.0.0:1", "where"),
        Flag::new("snappy", Kind::Switch, "true", "whether"),
        Flag::new("size", Kind::Number, "1", "how many"),
        Flag::new("msg-timeout", Kind::Duration, "1m0s", "how long"),
        Flag::new("lookupd-tcp-address", Kind::List, "", "whom").in_config("nsqlookupd_tcp_addresses"),
        Flag::new("data-path", Kind::Text, "", "where to").idle(),
    ];

    fn parse(arguments: &[&str]) -> Result<Flags, String> {
        match Flags::parse(TABLE, arguments.iter().map(ToString::to_string))? {
            Parsed::Flags(flags) => Ok(flags),
            Parsed::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn takes_every_form() {
        for arguments in [
            &["-tcp-address=a:1", "-snappy", "-size", "5", "-msg-timeout", "1m30s"],
            &["--tcp-address=a:1", "--snappy=1", "--size=0x5", "--msg-timeout=90s", "--"][..],
            &["--tcp-address", "a:1", "--snappy=T", "-size=1", "-size=5", "--msg-timeout=1.5m"],
        ] {
            let flags = parse(arguments).unwrap();
            assert_eq!(flags.text("tcp-address"), Some("a:1"));
            assert_eq!(flags.switch("snappy"), Some(true));
            assert_eq!(flags.number::<u32>("size"), Ok(Some(5)));
            assert_eq!(flags.duration("msg-timeout"), Some(Duration::from_secs(90)));
        }
        let flags = parse(&["-lookupd-tcp-address=a:1", "--lookupd-tcp-address", "b:2,c:3", "--snappy=false"]).unwrap();
        assert_eq!(flags.list("lookupd-tcp-address"), ["a:1", "b:2", "c:3"]);
        assert_eq!(flags.switch("snappy"), Some(false));
        assert_eq!(flags.text("tcp-address"), None);
        assert_eq!(parse(&["--tcp-address=a=b"]).unwrap().text("tcp-address"), Some("a=b"));
        // The value may look like a flag.
        assert_eq!(parse(&["--tcp-address", "-size"]).unwrap().text("tcp-address"), Some("-size"));
    }

    #[test]
    fn refuses_in_gos_words() {
        for (arguments, error) in [
            (&["--nope"][..], "flag provided but not defined: -nope"),
            (&["-nope=1"], "flag provided but not defined: -nope"),
            (&["--tcp-address"], "flag needs an argument: -tcp-address"),
            (&["--msg-timeout=5"], "invalid value \"5\" for flag -msg-timeout: parse error"),
            (&["--msg-timeout=-5s"], "invalid value \"-5s\" for flag -msg-timeout: parse error"),
            (&["--size=x"], "invalid value \"x\" for flag -size: parse error"),
            (
                &["--size=9223372036854775808"],
                "invalid value \"9223372036854775808\" for flag -size: value out of range",
            ),
            (&["--snappy=maybe"], "invalid boolean value \"maybe\" for flag -snappy: parse error"),
            (&["---size=1"], "bad flag syntax: ---size=1"),
            (&["-=1"], "bad flag syntax: -=1"),
            (&["extra"], "unexpected argument: extra"),
            (&["-"], "unexpected argument: -"),
            (&["--", "extra"], "unexpected argument: extra"),
            (&["-help"], "help"),
            (&["-h"], "help"),
        ] {
            assert_eq!(parse(arguments).unwrap_err(), error, "{arguments:?}");
        }
        let negative = parse(&["--size=-1"]).unwrap();
        assert_eq!(negative.number::<u32>("size"), Err("--size can't be -1".to_owned()));
    }

    #[test]
    fn a_file_says_what_the_command_line_does_not() {
        let mut flags = parse(&["--size=1"]).unwrap();
        let unknown = flags.read_config(
            "size = 2\nmsg_timeout = 1500\ntcp_address = 'a:1'\nsnappy = false\nnonsense = 3\n\
             nsqlookupd_tcp_addresses = ['a:1', 'b:2']\ndata_path = '/x'",
        );
        assert_eq!(unknown.unwrap(), ["nonsense"]);
        assert_eq!(flags.number::<u32>("size"), Ok(Some(1)));
        assert_eq!(flags.duration("msg-timeout"), Some(Duration::from_millis(1500)));
        assert_eq!(flags.switch("snappy"), Some(false));
        assert_eq!(flags.list("lookupd-tcp-address"), ["a:1", "b:2"]);
        assert_eq!(flags.idle(), ["data-path"]);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused() {
        for config in ["size", "size = 'x'", "msg_timeout = '5'", "snappy = 'no'", "tcp_address = ['a']", "size = {}"] {
            assert!(parse(&[]).unwrap().read_config(config).is_err(), "{config}");
        }
    }
}
