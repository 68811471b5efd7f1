//! The columns of the live table, and which of them there is room for.

use super::model::{Key, Row};
use super::plain::rate;

/// A column of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) value: fn(&Key, &Row) -> String,
    /// The least goes first when the terminal is narrow.
    rank: u8,
}

impl Column {
    /// Its width, without the space before it.
    pub(super) fn width(self) -> u16 {
        u16::try_from(self.title.len()).unwrap_or(0).max(6)
    }
}

/// The columns that fit into `room`, in order. Each has a space before it.
pub(super) fn fitting(room: u16) -> Vec<Column> {
    let mut columns = COLUMNS.to_vec();
    while columns.iter().map(|column| column.width() + 1).sum::<u16>() > room {
        let Some(least) = columns.iter().map(|column| column.rank).min() else { break };
        columns.retain(|column| column.rank != least);
    }
    columns
}

/// A number in at most six characters, up to a hundred million million.
pub(super) fn short(count: u64) -> String {
    let (unit, size) = match count {
        0..100_000 => return count.to_string(),
        100_000..100_000_000 => ("k", 1_000),
        100_000_000..100_000_000_000 => ("M", 1_000_000),
        _ => ("G", 1_000_000_000),
    };
    format!("{}{unit}", count / size)
}

/// The latest values as bars of eight heights, the newest at the right.
pub(super) fn sparkline(values: impl DoubleEndedIterator<Item = u64> + Clone, width: usize) -> String {
    let latest = values.rev().take(width);
    let most = u128::from(latest.clone().max().unwrap_or(0));
    let bar = |value: u64| match value {
        0 => ' ',
        // From the lowest bar for anything at all to the highest for the most.
        _ => usize::try_from((u128::from(value) * 8).div_ceil(most) - 1).map_or(' ', |height| BARS[height.min(7)]),
    };
    let bars: Vec<_> = latest.map(bar).collect();
    bars.into_iter().rev().collect()
}

fn of_channel(key: &Key, value: impl FnOnce() -> String) -> String {
    if key.channel.is_some() { value() } else { String::new() }
}

fn per_second(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is neither negative nor that large"
        )]
        Some(value) if value >= 100_000.0 => short(value as u64),
        Some(value) => rate(value),
    }
}

const COLUMNS: [Column; 9] = [
    Column { title: "DEPTH", rank: 9, value: |_, row| short(row.counts.depth) },
    Column { title: "IN FLT", rank: 6, value: |key, row| of_channel(key, || short(row.counts.in_flight)) },
    Column { title: "DEFERRED", rank: 3, value: |key, row| of_channel(key, || short(row.counts.deferred)) },
    Column { title: "IN/S", rank: 8, value: |_, row| per_second(row.rates.map(|rates| rates.incoming)) },
    Column {
        title: "OUT/S",
        rank: 7,
        value: |key, row| of_channel(key, || per_second(row.rates.map(|rates| rates.outgoing))),
    },
    Column { title: "REQ", rank: 2, value: |key, row| of_channel(key, || short(row.counts.requeued)) },
    Column { title: "T-O", rank: 1, value: |key, row| of_channel(key, || short(row.counts.timed_out)) },
    Column { title: "MSGS", rank: 4, value: |_, row| short(row.counts.messages) },
    Column { title: "CLIENTS", rank: 5, value: |key, row| of_channel(key, || short(row.counts.clients)) },
];

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (count, shown) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "100k"),
            (99_999_999, "99999k"),
            (123_456_789, "123M"),
            (u64::MAX, "18446744073G"),
        ] {
            assert_eq!(short(count), shown);
        }
        assert_eq!(per_second(Some(123_456.7)), "123k");
    }

    #[test]
    fn a_sparkline_shows_the_latest_values() {
        assert_eq!(sparkline([0, 1, 50, 100].into_iter(), 10), " ▁▄█");
        assert_eq!(sparkline([100, 0, 1].into_iter(), 2), " █");
        assert_eq!(sparkline([].into_iter(), 5), "");
        assert_eq!(sparkline([u64::MAX, 1].into_iter(), 5), "█▁");
    }

    #[test]
    fn a_narrow_terminal_has_the_columns_that_matter_most() {
        let titles = |room| fitting(room).iter().map(|column| column.title).collect::<Vec<_>>();
        assert_eq!(titles(200).len(), 9);
        assert_eq!(titles(30), ["DEPTH", "IN FLT", "IN/S", "OUT/S"]);
        assert_eq!(titles(7), ["DEPTH"]);
        assert!(titles(6).is_empty());
    }
}
