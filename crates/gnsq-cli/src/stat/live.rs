//! The live table: polls, draws, and takes keys.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::draw;
use super::model::{Key, Model};
use super::poll::Poller;
use super::view::{View, Wish};
use crate::exit::{Exit, Failure};
use crate::interrupt::{Interrupt, Interrupts};
use crate::output;

/// Runs until the user quits. Whatever happens, the terminal is as it was afterwards.
pub(super) async fn run(
    poller: Poller,
    looked_at: Option<Key>,
    every: Duration,
    interrupts: &mut Interrupts,
) -> Result<Exit, Failure> {
    let failed = |error: io::Error| Failure::failed(format!("can't use the terminal: {error}"));
    let terminal = ratatui::try_init().map_err(failed)?;
    let restore = Restore;
    let exit = watch(terminal, poller, looked_at, every, interrupts).await;
    drop(restore);
    exit.map_err(failed)
}

/// Gives the terminal back.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn watch(
    mut terminal: DefaultTerminal,
    poller: Poller,
    looked_at: Option<Key>,
    every: Duration,
    interrupts: &mut Interrupts,
) -> io::Result<Exit> {
    let colours = output::may_colour();
    let (polls, mut answers) = mpsc::channel(1);
    let polling = tokio::spawn(poll(poller, every, polls));
    let mut events = Events::listen()?;
    let mut model = Model::default();
    let mut view = View::default();
    let exit = loop {
        terminal.draw(|frame| draw::draw(frame, &model, &view, colours))?;
        tokio::select! {
            Some((answer, at)) = answers.recv() => if !view.frozen {
                model.update(answer, looked_at.as_ref(), at);
            },
            Some(event) = events.receiver.recv() => match event? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    let page = draw::page(terminal.size()?.height);
                    match view.key(key, page, view.rows(&model).len()) {
                        Wish::Stay => {}
                        Wish::Quit => break Exit::Done,
                        Wish::Interrupt => break Exit::Interrupted(Interrupt::Int),
                    }
                }
                // A resize is drawn, and anything else harms nobody.
                _ => {}
            },
            interrupt = interrupts.next() => break Exit::Interrupted(interrupt),
        }
    };
    polling.abort();
    Ok(exit)
}

/// Asks at each interval, or as soon as the last round has ended if that takes longer.
async fn poll(mut poller: Poller, every: Duration, to: mpsc::Sender<(super::model::Poll, Instant)>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = poller.poll().await;
        if to.send((answer, Instant::now())).await.is_err() {
            return;
        }
    }
}

/// The keys, read on a thread of their own.
struct Events {
    receiver: mpsc::Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
}

impl Events {
    fn listen() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(16);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        thread::Builder::new().name("keys".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let event = match event::poll(Duration::from_millis(100)) {
                    Ok(false) => continue,
                    Ok(true) => event::read(),
                    Err(error) => Err(error),
                };
                let failed = event.is_err();
                if sender.blocking_send(event).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok(Self { receiver, stop })
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
