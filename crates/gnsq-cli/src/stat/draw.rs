//! Draws the live table. What is drawn depends on nothing but the model and the view.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Sparkline, Table};

use super::columns::{self, Column};
use super::model::{Key, Model, Row};
use super::plain::rate;
use super::view::View;

/// Draws all of it, with colours or without.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, view: &View, colours: bool) {
    let paint = Paint { colours };
    let troubles = troubles(model);
    let clients = u16::try_from(model.clients.len()).unwrap_or(u16::MAX);
    let [head, graphs, table, client_table, trouble, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(if frame.area().height >= MIN_HEIGHT_FOR_GRAPHS { 4 } else { 0 }),
        Constraint::Min(2),
        Constraint::Length(if clients == 0 { 0 } else { clients.saturating_add(2).min(frame.area().height / 3) }),
        Constraint::Length(u16::try_from(troubles.len()).unwrap_or(u16::MAX).min(frame.area().height / 4)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(summary(model, view, paint), head);
    draw_graphs(frame, model, paint, graphs);
    draw_table(frame, model, view, paint, table);
    if clients > 0 {
        draw_clients(frame, model, paint, client_table);
    }
    let troubles: Vec<_> = troubles.into_iter().map(|text| Line::styled(text, paint.trouble())).collect();
    frame.render_widget(Paragraph::new(troubles), trouble);
    frame.render_widget(footer(view, paint), keys);
}

/// How many lines of the table are shown in a terminal of this height: what a page is.
pub(super) fn page(height: u16) -> usize {
    let others = if height >= MIN_HEIGHT_FOR_GRAPHS { 7 } else { 3 };
    usize::from(height.saturating_sub(others)).max(1)
}

#[derive(Clone, Copy)]
struct Paint {
    colours: bool,
}

impl Paint {
    fn fore(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn trouble(self) -> Style {
        self.fore(Color::Red)
    }
}

fn summary(model: &Model, view: &View, paint: Paint) -> Line<'static> {
    let answering = model.nodes.iter().filter(|node| !node.version.is_empty()).count();
    let mut text = format!(
        "gnsq stat  {answering}/{} nsqd  depth {}  in flight {}",
        model.nodes.len(),
        columns::short(model.totals.depth),
        columns::short(model.totals.in_flight),
    );
    if view.frozen {
        text += "  (frozen)";
    }
    let style = if answering == model.nodes.len() { Style::new() } else { paint.trouble() };
    Line::styled(text, style.add_modifier(Modifier::BOLD))
}

fn draw_graphs(frame: &mut Frame<'_>, model: &Model, paint: Paint, area: Rect) {
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(1).areas(area);
    let totals = &model.totals;
    let rates = totals.rates.unwrap_or_default();
    for (name, now, history, colour, area) in [
        ("published", rates.incoming, &totals.incoming, Color::Green, left),
        ("finished", rates.outgoing, &totals.outgoing, Color::Blue, right),
    ] {
        let now = if totals.rates.is_some() { rate(now) } else { "-".to_owned() };
        let block = Block::bordered().title(format!(" {name} {now}/s "));
        let width = usize::from(area.width.saturating_sub(2));
        let latest: Vec<u64> = history.iter().skip(history.len().saturating_sub(width)).copied().collect();
        frame.render_widget(Sparkline::default().data(latest).style(paint.fore(colour)).block(block), area);
    }
}

fn draw_table(frame: &mut Frame<'_>, model: &Model, view: &View, paint: Paint, area: Rect) {
    let rows = view.rows(model);
    if rows.is_empty() {
        let text = match (model.rounds, view.filter.as_str()) {
            (0, _) => "asking…",
            (_, "") => "there is no topic",
            _ => "nothing matches the filter",
        };
        frame.render_widget(Paragraph::new(text), area);
        return;
    }
    // With the mark of what is paused.
    let names = rows.iter().map(|(key, _)| name(key).chars().count() + 2).max().unwrap_or(0);
    let names = u16::try_from(names).unwrap_or(u16::MAX).clamp(15, 66).min(area.width);
    let columns = columns::fitting(area.width - names);
    let used = names + columns.iter().map(|column| column.width() + 1).sum::<u16>();
    let graph = usize::from(area.width.saturating_sub(used + 1));
    let graph = if graph < MIN_GRAPH { 0 } else { graph };
    let mut widths = vec![Constraint::Length(names)];
    let mut titles = vec![Cell::from(NAME)];
    for column in &columns {
        widths.push(Constraint::Length(column.width()));
        titles.push(Cell::from(Line::from(column.title).right_aligned()));
    }
    if graph > 0 {
        widths.push(Constraint::Fill(1));
        titles.push(Cell::from("DEPTH BEFORE"));
    }
    let shown = rows.iter().skip(view.offset).take(usize::from(area.height.saturating_sub(1)));
    let lines = shown.map(|(key, row)| table_row(key, row, &columns, graph, paint));
    let header = TableRow::new(titles).style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_widget(Table::new(lines, widths).header(header).column_spacing(1), area);
}

fn table_row(key: &Key, row: &Row, columns: &[Column], graph: usize, paint: Paint) -> TableRow<'static> {
    let mut name = vec![Span::raw(name(key))];
    if row.counts.paused > 0 {
        name.push(Span::styled(" ‖", paint.fore(Color::Yellow)));
    }
    let mut cells = vec![Cell::from(Line::from(name))];
    for column in columns {
        cells.push(Cell::from(Line::from((column.value)(key, row)).right_aligned()));
    }
    let bars = columns::sparkline(row.depths.iter().copied(), graph);
    cells.push(Cell::from(Span::styled(bars, paint.fore(Color::Cyan))));
    let style = if key.channel.is_some() { Style::new() } else { Style::new().add_modifier(Modifier::BOLD) };
    TableRow::new(cells).style(style)
}

fn draw_clients(frame: &mut Frame<'_>, model: &Model, paint: Paint, area: Rect) {
    let head = ["CLIENT", "NODE", "READY", "IN FLT", "FINISHED", "USER AGENT"];
    let rows = model.clients.iter().map(|client| {
        TableRow::new([
            client.name.clone(),
            client.node.clone(),
            client.ready.to_string(),
            client.in_flight.to_string(),
            client.finished.to_string(),
            client.user_agent.clone(),
        ])
    });
    let widths = [
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(12),
        Constraint::Fill(1),
    ];
    let header = TableRow::new(head).style(paint.fore(Color::DarkGray));
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn footer(view: &View, paint: Paint) -> Line<'static> {
    if view.typing {
        return Line::from(format!("filter: {}▏ (Enter: keep, Esc: drop)", view.filter));
    }
    let order = if view.reverse { ", reversed" } else { "" };
    let filter = if view.filter.is_empty() { String::new() } else { format!(" ({})", view.filter) };
    let text =
        format!("q quit  s sort ({}{order})  r reverse  / filter{filter}  ↑↓ scroll  space freeze", view.sort.name());
    Line::styled(text, paint.fore(Color::DarkGray))
}

/// A line for each server that doesn't answer or isn't well.
fn troubles(model: &Model) -> Vec<String> {
    let nodes = model.nodes.iter().filter_map(|node| Some(format!("{}: {}", node.name, node.problem.as_ref()?)));
    nodes.chain(model.problems.iter().cloned()).collect()
}

fn name(key: &Key) -> String {
    key.channel.as_ref().map_or_else(|| key.topic.clone(), |channel| format!("  {channel}"))
}

/// Fewer bars tell nothing.
const MIN_GRAPH: usize = 4;

const NAME: &str = "TOPIC / CHANNEL";

/// In a small terminal, the table needs the room.
const MIN_HEIGHT_FOR_GRAPHS: u16 = 16;

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::stat::model::Polled;
    use crate::stat::model::tests::{channel, poll, polled};

    fn model(rounds: u64) -> Model {
        let mut model = Model::default();
        let start = Instant::now();
        for round in 0..rounds {
            let silent = Polled { node: "b:4151".to_owned(), answer: Err("no answer".to_owned()) };
            let answers = vec![polled("a:4151", 1, 1000 + 500 * round, 4 * round, 2), silent];
            model.update(poll(answers), None, start + Duration::from_secs(round));
        }
        model
    }

    fn drawn(model: &Model, view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, view, false)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn shows_the_cluster_and_what_is_wrong_with_it() {
        let expected = "\
gnsq stat  1/2 nsqd  depth 14  in flight 2
┌ published 500/s ─────────────────────────────┐ ┌ finished 496/s ──────────────────────────────┐
│███                                           │ │███                                           │
│███                                           │ │███                                           │
└──────────────────────────────────────────────┘ └──────────────────────────────────────────────┘
TOPIC / CHANNEL  DEPTH IN FLT DEFERRED   IN/S  OUT/S    REQ    T-O   MSGS CLIENTS DEPTH BEFORE
orders               2                    500                        2500         ████
  billing ‖         12      2        1    500    496      3      1   2500       1  ▃▆█






b:4151: no answer
q quit  s sort (name)  r reverse  / filter  ↑↓ scroll  space freeze";
        let lines = drawn(&model(4), &View::default(), 97, 16);
        assert_eq!(lines.join("\n"), expected, "\n{}", lines.join("\n"));
    }

    #[test]
    fn a_small_terminal_has_room_for_the_table() {
        let lines = drawn(&model(2), &View::default(), 60, 6);
        assert_eq!(lines[1], "TOPIC / CHANNEL  DEPTH IN FLT   IN/S  OUT/S   MSGS CLIENTS", "{lines:#?}");
        assert!(lines[2].starts_with("orders"), "{lines:#?}");
        for (width, height) in [(1, 1), (10, 2), (200, 3), (3, 60)] {
            drawn(&model(2), &View::default(), width, height);
        }
    }

    #[test]
    fn says_what_it_waits_for() {
        let view = View::default();
        assert!(drawn(&Model::default(), &view, 60, 8)[1].starts_with("asking"));
        let mut empty = Model::default();
        empty.update(poll(vec![]), None, Instant::now());
        assert!(drawn(&empty, &view, 60, 8)[1].starts_with("there is no topic"));
        let filtered = View { filter: "nope".to_owned(), ..View::default() };
        assert!(drawn(&model(1), &filtered, 60, 8)[1].starts_with("nothing matches"));
        let typing = View { filter: "or".to_owned(), typing: true, ..View::default() };
        assert!(drawn(&model(1), &typing, 60, 8)[7].starts_with("filter: or▏"));
    }

    #[test]
    fn scrolls() {
        let view = View { offset: 1, ..View::default() };
        let lines = drawn(&model(1), &view, 60, 8);
        assert!(lines[2].starts_with("  billing"), "{lines:#?}");
    }

    #[test]
    fn shows_the_clients_of_a_channel() {
        let mut model = Model::default();
        model.update(poll(vec![polled("a:4151", 1, 1, 1, 1)]), Some(&channel()), Instant::now());
        let lines = drawn(&model, &View::default(), 100, 20).join("\n");
        assert!(lines.contains("CLIENT") && lines.contains("app"), "{lines}");
    }
}
