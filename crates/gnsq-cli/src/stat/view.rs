//! What the user of the live table wants to see.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Key, Model, Row};

/// The state of the view, which only keys change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    pub(super) filter: String,
    /// Whether keys go into the filter.
    pub(super) typing: bool,
    /// How many lines are scrolled away.
    pub(super) offset: usize,
    /// Whether new rounds are not shown.
    pub(super) frozen: bool,
}

/// By what topics, and the channels of each, are ordered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Depth,
    InFlight,
    Rate,
    Clients,
}

/// What a key means beyond the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    Quit,
    /// By Ctrl-C.
    Interrupt,
}

impl View {
    /// Takes a key; `page` is how many lines are shown, and `lines` how many there are.
    pub(super) fn key(&mut self, key: KeyEvent, page: usize, lines: usize) -> Wish {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Wish::Interrupt;
        }
        if self.typing {
            self.type_in(key.code);
            return Wish::Stay;
        }
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Esc if self.filter.is_empty() => return Wish::Quit,
            KeyCode::Esc => self.set_filter(String::new()),
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('r') => self.reverse = !self.reverse,
            KeyCode::Char(' ') => self.frozen = !self.frozen,
            KeyCode::Up | KeyCode::Char('k') => self.offset = self.offset.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.offset += 1,
            KeyCode::PageUp => self.offset = self.offset.saturating_sub(page),
            KeyCode::PageDown => self.offset += page,
            KeyCode::Home | KeyCode::Char('g') => self.offset = 0,
            KeyCode::End | KeyCode::Char('G') => self.offset = lines,
            _ => {}
        }
        self.offset = self.offset.min(lines.saturating_sub(page));
        Wish::Stay
    }

    /// The rows to show, in order: each topic that matches or has a channel that does, and its matching channels.
    pub(super) fn rows<'a>(&self, model: &'a Model) -> Vec<(&'a Key, &'a Row)> {
        let mut topics: Vec<(Group<'a>, u64)> = Vec::new();
        for (key, row) in &model.rows {
            match (&key.channel, topics.last_mut()) {
                (Some(_), Some((group, _))) => group.channels.push((key, row)),
                _ => topics.push((Group { topic: (key, row), channels: Vec::new() }, 0)),
            }
        }
        topics.retain_mut(|(group, _)| self.keep(group));
        for (group, value) in &mut topics {
            let rows = group.channels.iter().chain([&group.topic]);
            *value = rows.map(|(_, row)| self.sort.value(row)).fold(0, u64::saturating_add);
            group.channels.sort_by_key(|(_, row)| Reverse(self.sort.value(row)));
        }
        topics.sort_by_key(|(_, value)| Reverse(*value));
        if self.reverse {
            topics.reverse();
            for (group, _) in &mut topics {
                group.channels.reverse();
            }
        }
        topics.into_iter().flat_map(|(group, _)| [group.topic].into_iter().chain(group.channels)).collect()
    }

    fn keep(&self, group: &mut Group<'_>) -> bool {
        if group.topic.0.topic.contains(&self.filter) {
            return true;
        }
        group.channels.retain(|(key, _)| key.channel.as_ref().is_some_and(|channel| channel.contains(&self.filter)));
        !group.channels.is_empty()
    }

    fn type_in(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.set_filter(String::new());
            }
            KeyCode::Backspace => {
                self.filter.pop();
                self.offset = 0;
            }
            // A name isn't longer.
            KeyCode::Char(character) if self.filter.len() < 64 => {
                self.filter.push(character);
                self.offset = 0;
            }
            _ => {}
        }
    }

    fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.offset = 0;
    }
}

/// A topic with its channels.
struct Group<'a> {
    topic: (&'a Key, &'a Row),
    channels: Vec<(&'a Key, &'a Row)>,
}

impl Sort {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Depth => "depth",
            Self::InFlight => "in flight",
            Self::Rate => "rate",
            Self::Clients => "clients",
        }
    }

    fn next(self) -> Self {
        match self {
            Self::Name => Self::Depth,
            Self::Depth => Self::InFlight,
            Self::InFlight => Self::Rate,
            Self::Rate => Self::Clients,
            Self::Clients => Self::Name,
        }
    }

    /// The largest comes first; by name, all are equal, and stay in their order.
    fn value(self, row: &Row) -> u64 {
        match self {
            Self::Name => 0,
            Self::Depth => row.counts.depth,
            Self::InFlight => row.counts.in_flight,
            Self::Rate => row.rates.map_or(0, |rates| {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "only the order matters")]
                let value = (rates.incoming.max(rates.outgoing) * 1000.0) as u64;
                value
            }),
            Self::Clients => row.counts.clients,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat::counts::Counts;

    fn model(rows: &[(&str, Option<&str>, u64)]) -> Model {
        let mut model = Model::default();
        for (topic, channel, depth) in rows {
            let key = Key { topic: (*topic).to_owned(), channel: channel.map(str::to_owned) };
            let counts = Counts { depth: *depth, ..Counts::default() };
            model.rows.insert(key, Row { counts, ..Row::default() });
        }
        model
    }

    fn names(view: &View, model: &Model) -> Vec<String> {
        let name =
            |(key, _): &(&Key, &Row)| key.channel.as_ref().map_or(key.topic.clone(), |channel| format!(" {channel}"));
        view.rows(model).iter().map(name).collect()
    }

    fn press(view: &mut View, codes: &[KeyCode]) -> Wish {
        codes.iter().map(|code| view.key((*code).into(), 10, 25)).last().unwrap()
    }

    #[test]
    fn topics_and_their_channels_are_sorted_and_stay_together() {
        let model = model(&[
            ("a", None, 1),
            ("a", Some("x"), 2),
            ("a", Some("y"), 3),
            ("b", None, 0),
            ("b", Some("z"), 50),
            ("c", None, 10),
        ]);
        let mut view = View::default();
        assert_eq!(names(&view, &model), ["a", " x", " y", "b", " z", "c"]);
        press(&mut view, &[KeyCode::Char('s')]);
        assert_eq!(view.sort, Sort::Depth);
        assert_eq!(names(&view, &model), ["b", " z", "c", "a", " y", " x"]);
        press(&mut view, &[KeyCode::Char('r')]);
        assert_eq!(names(&view, &model), ["a", " x", " y", "c", "b", " z"]);
        press(&mut view, &[KeyCode::Char('s'); 4]);
        assert_eq!(view.sort, Sort::Name);
    }

    #[test]
    fn a_filter_keeps_topics_that_match_and_those_of_channels_that_do() {
        let model = model(&[
            ("logs", None, 0),
            ("logs", Some("archive"), 0),
            ("orders", None, 0),
            ("orders", Some("logger"), 0),
            ("x", None, 0),
        ]);
        let mut view = View::default();
        press(
            &mut view,
            &[
                KeyCode::Char('/'),
                KeyCode::Char('l'),
                KeyCode::Char('o'),
                KeyCode::Char('q'),
                KeyCode::Backspace,
                KeyCode::Enter,
            ],
        );
        assert_eq!((view.filter.as_str(), view.typing), ("lo", false));
        assert_eq!(names(&view, &model), ["logs", " archive", "orders", " logger"]);
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Wish::Stay);
        assert_eq!(names(&view, &model).len(), 5);
        assert_eq!(press(&mut view, &[KeyCode::Esc]), Wish::Quit);
    }

    #[test]
    fn scrolling_stops_at_both_ends() {
        let mut view = View::default();
        press(&mut view, &[KeyCode::Up]);
        assert_eq!(view.offset, 0);
        press(&mut view, &[KeyCode::PageDown, KeyCode::Down]);
        assert_eq!(view.offset, 11);
        press(&mut view, &[KeyCode::End, KeyCode::Down]);
        assert_eq!(view.offset, 15);
        press(&mut view, &[KeyCode::Home]);
        assert_eq!(view.offset, 0);
    }

    #[test]
    fn keys_quit() {
        let mut view = View::default();
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Wish::Quit);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(view.key(control_c, 1, 1), Wish::Interrupt);
        press(&mut view, &[KeyCode::Char('/')]);
        assert_eq!(press(&mut view, &[KeyCode::Char('q')]), Wish::Stay, "it is typed into the filter");
        assert_eq!(view.key(control_c, 1, 1), Wish::Interrupt);
        press(&mut view, &[KeyCode::Esc, KeyCode::Char(' ')]);
        assert!(view.frozen);
    }
}
