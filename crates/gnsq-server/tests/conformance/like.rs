//! Texts with parts that change from run to run.

/// Whether `text` is `pattern`, in which `#` stands for a whole number and `*` for anything within a line and a string.
///
/// # Panics
///
/// If it isn't, with both from where they part.
pub(crate) fn assert_like(text: &str, pattern: &str) {
    if let Err((rest, wanted)) = like(text, pattern) {
        panic!("expected\n  {wanted}\nhere\n  {rest}\nof\n{text}");
    }
}

fn like<'t, 'p>(mut text: &'t str, mut pattern: &'p str) -> Result<(), (&'t str, &'p str)> {
    // The text and the pattern behind the last star, from where it can be tried to reach further.
    let mut star: Option<(&str, &str)> = None;
    let mut parted = None;
    loop {
        if let Some(behind) = pattern.strip_prefix('*') {
            star = Some((text, behind));
            pattern = behind;
        } else if let Some((text_rest, pattern_rest)) = step(text, pattern) {
            (text, pattern) = (text_rest, pattern_rest);
        } else if text.is_empty() && pattern.is_empty() {
            return Ok(());
        } else {
            let farthest = *parted.get_or_insert((text, pattern));
            let Some((from, behind)) = star else { return Err(farthest) };
            let next = from.chars().next().filter(|&next| next != '\n' && next != '"').ok_or(farthest)?;
            text = &from[next.len_utf8()..];
            pattern = behind;
            star = Some((text, behind));
        }
    }
}

/// One number or character on, if both agree on it.
fn step<'t, 'p>(text: &'t str, pattern: &'p str) -> Option<(&'t str, &'p str)> {
    let wanted = pattern.chars().next()?;
    let pattern_rest = &pattern[wanted.len_utf8()..];
    if wanted == '#' {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let rest = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
        return (rest.len() < unsigned.len()).then_some((rest, pattern_rest));
    }
    Some((text.strip_prefix(wanted)?, pattern_rest))
}

#[test]
fn what_changes_is_left_out_of_the_comparison() {
    assert_like(r#"{"a":12,"b":"x y","c":-3}"#, r#"{"a":#,"b":"*","c":#}"#);
    assert_like("uptime 1.5s\nend", "uptime *\nend");
    assert_like("one   two", "*   two");
    assert_like("", "*");
    for (text, pattern) in
        [("1", "##"), ("a", "#"), ("a\nb", "*b"), (r#""a","b""#, r#""*b""#), ("ab", "a"), ("a", "ab")]
    {
        assert!(like(text, pattern).is_err(), "{text} like {pattern}");
    }
}
