//! A terminal for the program, of which the test is the other end.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;

use gnsq_testkit::{DEADLINE, eventually};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What the program takes for a terminal.
pub(crate) struct Terminal {
    ours: File,
    name: String,
    written: Arc<Mutex<Vec<u8>>>,
    columns: usize,
    rows: usize,
}

impl Terminal {
    pub(crate) fn open(columns: u16, rows: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system has pseudo-terminals");
        grantpt(&ours).expect("it is ours");
        unlockpt(&ours).expect("it is ours");
        let name = ptsname(&ours, Vec::new()).expect("it has a name").into_string().expect("it is ASCII");
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ours, size).expect("a terminal has a size");
        let (columns, rows) = (columns.into(), rows.into());
        Self { ours: ours.into(), name, written: Arc::default(), columns, rows }
    }

    /// Starts the program at this terminal.
    pub(crate) fn start(&self, mut command: Command) -> Child {
        let theirs = || OpenOptions::new().read(true).write(true).open(&self.name).expect("it is unlocked");
        command.stdin(theirs()).stdout(theirs()).stderr(theirs()).env("TERM", "xterm-256color");
        let child = command.spawn().expect("the program can be started");
        let mut ours = self.ours.try_clone().expect("a file can be shared");
        let written = self.written.clone();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // It fails when the program has ended.
            while let Ok(length @ 1..) = ours.read(&mut buffer) {
                written.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        child
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    pub(crate) fn terminate(child: &Child) {
        kill_process(Pid::from_child(child), Signal::TERM).expect("it is running");
    }

    /// Waits until the text is on the screen.
    pub(crate) async fn shows(&self, text: &str) {
        eventually(DEADLINE, text, async || self.screen().contains(text).then_some(())).await;
    }

    /// Waits until the program has written this, be it not to be seen.
    pub(crate) async fn has_written(&self, text: &str) {
        let written = || String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned();
        eventually(DEADLINE, text, async || written().contains(text).then_some(())).await;
    }

    /// What is on the screen, as far as the few sequences go that place the text.
    fn screen(&self) -> String {
        let written = String::from_utf8_lossy(&self.written.lock().unwrap()).into_owned();
        let mut cells = vec![vec![' '; self.columns]; self.rows];
        let (mut row, mut column) = (0, 0);
        let mut rest = written.chars();
        while let Some(character) = rest.next() {
            if character != '\u{1b}' {
                if let Some(cell) = cells.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *cell = character;
                }
                column += 1;
                continue;
            }
            rest.next();
            let mut parameters = String::new();
            let end = rest.by_ref().find(|character| {
                parameters.push(*character);
                character.is_ascii_alphabetic()
            });
            if end == Some('H') {
                let mut numbers = parameters.trim_end_matches('H').split(';').map(|number| number.parse().unwrap_or(1));
                row = numbers.next().unwrap_or(1).max(1) - 1;
                column = numbers.next().unwrap_or(1).max(1) - 1;
            }
        }
        cells.iter().map(|row| row.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
    }
}
