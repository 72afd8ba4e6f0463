//! Lays out the comments that cbindgen copies from Rust: each paragraph filled, in the style of the preamble.

const WIDTH: usize = 100;

/// The header with its comments laid out, no space at line ends, and no run of empty lines.
pub(crate) fn tidy(header: &str) -> String {
    let mut out = String::new();
    let mut lines = header.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        if line.trim_start() == "/*" {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim_start() != "*/").collect();
            // What was written by hand stays as it is.
            if block.iter().all(|line| line.trim_start().starts_with('*')) {
                push(&mut out, line);
                block.iter().for_each(|line| push(&mut out, line));
                push(&mut out, " */");
            } else {
                write_comment(&mut out, line.len() - 2, &block);
            }
        } else {
            // C89 knows no other comments.
            let line = match line.split_once("//") {
                Some((code, comment)) if !line.contains("\"http") => {
                    format!("{}  /* {} */", code.trim_end(), comment.trim())
                }
                _ => line.to_owned(),
            };
            push(&mut out, &line);
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    if !(line.is_empty() && out.ends_with("\n\n")) {
        out.push_str(line);
        out.push('\n');
    }
}

fn write_comment(out: &mut String, indent: usize, block: &[&str]) {
    let margin = " ".repeat(indent);
    let block: Vec<&str> = block.iter().map(|line| line.get(indent..).unwrap_or_default()).collect();
    let lines = fill(&block, WIDTH - indent - 3);
    if let [line] = lines.as_slice()
        && indent + line.chars().count() + 6 <= WIDTH
    {
        return push(out, &format!("{margin}/* {line} */"));
    }
    push(out, &format!("{margin}/*"));
    for line in lines {
        push(out, format!("{margin} * {line}").trim_end());
    }
    push(out, &format!("{margin} */"));
}

/// Paragraphs filled to a width; an empty line parts them, and an indented one is code and stays as it is.
fn fill(block: &[&str], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut joins = false;
    for line in block {
        let text = line.strip_prefix(' ').unwrap_or(line);
        if text.trim().is_empty() || text.starts_with("    ") {
            lines.push(text.trim_end().to_owned());
            joins = false;
            continue;
        }
        for word in text.split_whitespace() {
            match lines.last_mut().filter(|last| joins && last.chars().count() + 1 + word.chars().count() <= width) {
                Some(last) => {
                    last.push(' ');
                    last.push_str(word);
                }
                None => lines.push(word.to_owned()),
            }
            joins = true;
        }
    }
    lines
}
