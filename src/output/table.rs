//! Tables as in kubectl: no lines, three blanks between columns.

use tabled::{
    builder::Builder,
    settings::{Padding, Style},
};

use super::text::{clip, width};

/// How many blanks are between two columns.
const BETWEEN: usize = 3;

/// Aligns rows of cells; returns one line per row, without trailing blanks.
pub fn columns(rows: Vec<Vec<String>>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut table = Builder::from(rows).build();
    table.with(Style::empty()).with(Padding::new(0, BETWEEN, 0, 0));
    table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// To how many columns the name of an object may be cut, where a table is too wide.
pub const NAME: usize = 16;

/// What a column gives where lines are too long, by its heading.
#[derive(Clone, Copy, Debug)]
pub enum Give<'a> {
    /// Its cells are cut, to no fewer columns than these.
    Cut(&'a str, usize),
    /// It is left out.
    Drop(&'a str),
}

/// The same for rows below their headings, in lines that fit: while they do not,
/// one column after the other gives what it can. What is worth least is first in
/// the list.
pub fn fitted(mut rows: Vec<Vec<String>>, gives: &[Give<'_>], room: usize) -> Vec<String> {
    for give in gives {
        let over = line_width(&rows).saturating_sub(room);
        if over == 0 {
            break;
        }
        let (Give::Cut(heading, _) | Give::Drop(heading)) = give;
        let headings = rows.first();
        let Some(at) = headings.and_then(|all| all.iter().position(|cell| cell == heading)) else {
            continue;
        };
        match give {
            Give::Drop(_) => rows.iter_mut().for_each(|row| drop(row.remove(at))),
            Give::Cut(_, least) => {
                let room = widest(&rows, at).saturating_sub(over).max(*least);
                for cell in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                    *cell = clip(cell, room).into_owned();
                }
            }
        }
    }
    columns(rows)
}

/// How long the longest line is.
fn line_width(rows: &[Vec<String>]) -> usize {
    let columns = rows.first().map_or(0, Vec::len);
    let all: usize = (0..columns).map(|at| widest(rows, at) + BETWEEN).sum();
    all.saturating_sub(BETWEEN)
}

fn widest(rows: &[Vec<String>], at: usize) -> usize {
    rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Give, columns, fitted};

    #[test]
    fn what_is_worth_least_gives_first() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let rows = || {
            vec![
                row(["NAME", "EXPECTED", "TTL", "VERDICT"]),
                row(["web-0.nginx", "10.244.0.10,10.244.0.11", "30", "ok"]),
            ]
        };
        let gives = [Give::Cut("EXPECTED", 16), Give::Drop("TTL"), Give::Cut("EXPECTED", 8)];
        let line = |room: usize| fitted(rows(), &gives, room).remove(1);
        assert_eq!(line(80), "web-0.nginx   10.244.0.10,10.244.0.11   30    ok");
        assert_eq!(line(50), "web-0.nginx   10.244.0.10,10.244.…   30    ok");
        assert_eq!(line(45), "web-0.nginx   10.244.0.10,10.…   ok");
        assert_eq!(line(20), "web-0.nginx   10.244.…   ok", "no less than that");
        for room in [50, 45, 40, 36] {
            assert!(fitted(rows(), &gives, room).iter().all(|line| line.chars().count() <= room));
        }
    }

    #[test]
    fn aligns_and_leaves_no_trailing_blanks() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = columns(vec![row(["NAME", "READY", "AGE"]), row(["web-10", "1/1", ""])]);
        assert_eq!(lines, ["NAME     READY   AGE", "web-10   1/1"]);
    }
}
