//! What the program is asked to do.

use std::time::Duration;

use tokio_nsq::{NSQConfigShared, NSQConfigSharedCompression, NSQConfigSharedTLS, NSQDeflateLevel};

pub(crate) struct Options {
    pub(crate) work: String,
    pub(crate) count: usize,
    pub(crate) addresses: Vec<String>,
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) outstanding: usize,
    pub(crate) batch: usize,
    pub(crate) max_in_flight: u32,
    pub(crate) rate: u32,
    pub(crate) connection: NSQConfigShared,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let [work, count, addresses, options @ ..] = arguments else {
            return Err("usage: WORK COUNT ADDRESS[,ADDRESS...] [--NAME VALUE]...".to_owned());
        };
        let mut parsed = Self {
            work: work.clone(),
            count: number(count)?,
            addresses: addresses.split(',').map(str::to_owned).collect(),
            bodies: Vec::new(),
            outstanding: 1,
            batch: 200,
            max_in_flight: 1,
            rate: 0,
            // By default what is written, answers included, waits for up to 250 ms.
            connection: NSQConfigShared::new().set_flush_interval(Duration::from_millis(1)),
        };
        let (mut body, mut file) = (200, None);
        for option in options.chunks(2) {
            let [name, value] = option else { return Err(format!("{} has no value", option[0])) };
            let connection = parsed.connection.clone();
            match name.as_str() {
                "--body" => body = number(value)?,
                "--bodies" => file = Some(value),
                "--outstanding" => parsed.outstanding = number(value)?,
                "--batch" => parsed.batch = number(value)?,
                "--max-in-flight" => parsed.max_in_flight = number(value)?,
                "--rate" => parsed.rate = number(value)?,
                "--batching" if value == "no" => {}
                // Its default doesn't verify certificates.
                "--tls" => parsed.connection = connection.set_tls(NSQConfigSharedTLS::new("localhost")),
                "--snappy" => parsed.connection = connection.set_compression(NSQConfigSharedCompression::Snappy),
                "--deflate" => {
                    let level = NSQDeflateLevel::new(number(value)?).ok_or("the level is 1 to 9")?;
                    parsed.connection = connection.set_compression(NSQConfigSharedCompression::Deflate(level));
                }
                _ => return Err(format!("it can't do {name} {value}")),
            }
        }
        parsed.bodies = match file {
            Some(path) => {
                let whole = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
                whole.chunks_exact(body).map(<[u8]>::to_vec).collect()
            }
            None => vec![vec![b'x'; body]],
        };
        Ok(parsed)
    }
}

fn number<T: std::str::FromStr>(value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{value} is not possible"))
}
