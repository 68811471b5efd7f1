//! The sources of options, one over the other.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use clap::{Args, Command, Parser};

use super::ConnectionArgs;
use crate::exit::Failure;

/// The command line, the environment and the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Layers {
    pub(super) flags: ConnectionArgs,
    pub(super) env: ConnectionArgs,
    pub(super) file: ConnectionArgs,
}

/// Reads the other sources by the rules of the command line, so that they can't differ.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Layer {
    #[command(flatten)]
    args: ConnectionArgs,
}

impl Layers {
    /// Puts the environment and the file under the options of the command line. `config` is the file that the
    /// command line names.
    pub(super) fn read(flags: ConnectionArgs, config: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self {
            flags,
            env: from_env(|name| env::var_os(name))?,
            file: match config_file(config, |name| env::var_os(name)) {
                Some((path, must_exist)) => read_file(&path, must_exist)?,
                None => ConnectionArgs::default(),
            },
        })
    }

    /// In order of precedence.
    pub(super) fn each(&self) -> [&ConnectionArgs; 3] {
        [&self.flags, &self.env, &self.file]
    }

    /// What the sources say together, apart from the addresses.
    pub(super) fn merged(&self) -> ConnectionArgs {
        self.each().into_iter().cloned().reduce(ConnectionArgs::or).unwrap_or_default()
    }
}

impl ConnectionArgs {
    /// Fills what is not said here from `lower`, apart from the addresses.
    fn or(self, lower: Self) -> Self {
        let (auth_secret, auth_secret_file) = match (self.auth_secret, self.auth_secret_file) {
            (None, None) => (lower.auth_secret, lower.auth_secret_file),
            said => said,
        };
        let (tls_cert, tls_key) = match (self.tls_cert, self.tls_key) {
            (None, None) => (lower.tls_cert, lower.tls_key),
            said => said,
        };
        // One compression replaces the other.
        let (snappy, deflate) = match (self.snappy, self.deflate) {
            (None, None) => (lower.snappy, lower.deflate),
            said => said,
        };
        Self {
            nsqd_tcp_address: self.nsqd_tcp_address,
            lookupd_http_address: self.lookupd_http_address,
            nsqd_http_address: self.nsqd_http_address,
            connect_timeout: self.connect_timeout.or(lower.connect_timeout),
            timeout: self.timeout.or(lower.timeout),
            tls: self.tls.or(lower.tls),
            tls_ca_file: self.tls_ca_file.or(lower.tls_ca_file),
            tls_cert,
            tls_key,
            tls_server_name: self.tls_server_name.or(lower.tls_server_name),
            tls_min_version: self.tls_min_version.or(lower.tls_min_version),
            tls_insecure_skip_verify: self.tls_insecure_skip_verify.or(lower.tls_insecure_skip_verify),
            auth_secret,
            auth_secret_file,
            snappy,
            deflate,
            max_msg_size: self.max_msg_size.or(lower.max_msg_size),
            max_body_size: self.max_body_size.or(lower.max_body_size),
        }
    }
}

/// The names of all options, with underscores.
fn names() -> Vec<String> {
    let command = ConnectionArgs::augment_args(Command::new("gnsq").disable_help_flag(true));
    command.get_arguments().map(|argument| argument.get_id().to_string()).collect()
}

fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Result<ConnectionArgs, Failure> {
    let mut flags = Vec::new();
    for name in names() {
        let variable_name = format!("GNSQ_{}", name.to_uppercase());
        if let Some(value) = variable(&variable_name).filter(|value| !value.is_empty()) {
            let mut flag = OsString::from(flag(&name));
            flag.push(value);
            flags.push(flag);
        }
    }
    parse(flags).map_err(|reason| Failure::usage(format!("the environment (GNSQ_…): {reason}")))
}

/// The file to read, and whether it has to be there.
fn config_file(flag: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> Option<(PathBuf, bool)> {
    let from_env = || variable("GNSQ_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(path) = flag.map(Path::to_owned).or_else(from_env) {
        return Some((path, true));
    }
    let home = variable("HOME").filter(|home| !home.is_empty())?;
    Some((Path::new(&home).join(".config").join("gnsq.toml"), false))
}

fn read_file(path: &Path, must_exist: bool) -> Result<ConnectionArgs, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => from_toml(&text).map_err(|reason| Failure::usage(format!("{}: {reason}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(ConnectionArgs::default()),
        Err(error) => Err(Failure::usage(format!("can't read the configuration file {}: {error}", path.display()))),
    }
}

fn from_toml(text: &str) -> Result<ConnectionArgs, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    let known = names();
    let mut flags = Vec::new();
    for (key, value) in table {
        let name = key.replace('-', "_");
        if !known.contains(&name) {
            return Err(format!("the option {key} is not known; there are: {}", known.join(", ")));
        }
        let values = match value {
            toml::Value::Array(values) => values,
            value => vec![value],
        };
        for value in values {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                _ => return Err(format!("{key}: give a text, a number, true or false, or a list of texts")),
            };
            flags.push(OsString::from(flag(&name) + &value));
        }
    }
    parse(flags)
}

fn flag(name: &str) -> String {
    format!("--{}=", name.replace('_', "-"))
}

fn parse(flags: Vec<OsString>) -> Result<ConnectionArgs, String> {
    let layer = Layer::try_parse_from(flags).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    Ok(layer.args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::DeflateLevel;

    fn env(variables: &[(&str, &str)]) -> Result<ConnectionArgs, Failure> {
        from_env(|name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into()))
    }

    fn layers(flags: &[&str], env_variables: &[(&str, &str)], file: &str) -> ConnectionArgs {
        let flags = parse(flags.iter().map(OsString::from).collect()).unwrap();
        Layers { flags, env: env(env_variables).unwrap(), file: from_toml(file).unwrap() }.merged()
    }

    #[test]
    fn the_environment_has_every_option() {
        let args = env(&[
            ("GNSQ_NSQD_TCP_ADDRESS", "a:1,b:2"),
            ("GNSQ_TLS", "1"),
            ("GNSQ_DEFLATE", "3"),
            ("GNSQ_AUTH_SECRET", "hush"),
            ("GNSQ_TIMEOUT", "1m30s"),
            ("GNSQ_TLS_MIN_VERSION", "tls1.3"),
            ("GNSQ_SNAPPY", ""),
        ])
        .unwrap();
        assert_eq!(args.nsqd_tcp_address, ["a:1", "b:2"]);
        assert_eq!(args.tls, Some(true));
        assert_eq!(args.deflate, Some(DeflateLevel::Level(3)));
        assert_eq!(args.auth_secret, Some("hush".into()));
        assert_eq!(args.timeout.unwrap().as_secs(), 90);
        assert_eq!(args.tls_min_version, "1.3".parse().ok());
        assert_eq!(args.snappy, None, "an empty variable says nothing");
    }

    #[test]
    fn the_file_has_every_option_under_either_spelling() {
        let args = from_toml(
            "lookupd_http_address = ['a', 'b']\ntls-ca-file = '/ca.pem'\nmax_msg_size = 7\nsnappy = true\ntimeout = '2s'",
        )
        .unwrap();
        assert_eq!(args.lookupd_http_address, ["a", "b"]);
        assert_eq!(args.tls_ca_file.unwrap(), Path::new("/ca.pem"));
        assert_eq!((args.max_msg_size, args.snappy), (Some(7), Some(true)));
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let args = layers(
            &["--timeout=1s"],
            &[("GNSQ_TIMEOUT", "2s"), ("GNSQ_CONNECT_TIMEOUT", "2s")],
            "timeout = '3s'\nconnect_timeout = '3s'\nmax_msg_size = 3",
        );
        assert_eq!(args.timeout.unwrap().as_secs(), 1);
        assert_eq!(args.connect_timeout.unwrap().as_secs(), 2);
        assert_eq!(args.max_msg_size, Some(3));
    }

    #[test]
    fn what_belongs_together_comes_from_one_source() {
        let args = layers(&["--deflate"], &[("GNSQ_AUTH_SECRET_FILE", "/f")], "snappy = true\nauth_secret = 'x'");
        assert_eq!((args.snappy, args.deflate), (None, Some(DeflateLevel::Level(6))));
        assert_eq!((args.auth_secret, args.auth_secret_file), (None, Some("/f".into())));
        assert_eq!(layers(&["--tls=false"], &[("GNSQ_TLS", "yes")], "").tls, Some(false));
    }

    #[test]
    fn an_error_tells_the_source_the_option_and_no_secret() {
        let error = env(&[("GNSQ_TIMEOUT", "soon"), ("GNSQ_AUTH_SECRET", "hush")]).unwrap_err().to_string();
        assert!(error.contains("environment") && error.contains("--timeout"), "{error}");
        assert!(!error.contains("hush"), "{error}");
        let error = from_toml("tiemout = '3s'").unwrap_err();
        assert!(error.contains("tiemout") && error.contains("connect_timeout"), "{error}");
        assert!(from_toml("timeout = 1.5").unwrap_err().contains("timeout"));
        assert!(from_toml("timeout").unwrap_err().contains("TOML"));
    }

    #[test]
    fn a_named_file_has_to_exist_and_the_default_one_not() {
        let home = |name: &str| (name == "HOME").then(|| "/home/me".into());
        assert_eq!(config_file(None, home), Some(("/home/me/.config/gnsq.toml".into(), false)));
        let both = |name: &str| (name == "GNSQ_CONFIG").then(|| "/env.toml".into());
        assert_eq!(config_file(None, both), Some(("/env.toml".into(), true)));
        assert_eq!(config_file(Some(Path::new("/flag.toml")), both), Some(("/flag.toml".into(), true)));
        assert_eq!(config_file(None, |_| None), None);
        assert!(read_file(Path::new("/nowhere/gnsq.toml"), false).is_ok());
        assert!(read_file(Path::new("/nowhere/gnsq.toml"), true).is_err());
    }
}
