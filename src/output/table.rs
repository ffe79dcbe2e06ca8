//! Columns as kubectl lays them out: no lines, three blanks between.

use tabled::{
    builder::Builder,
    settings::{Padding, Style},
};

/// Aligns rows of cells and returns a line each, without trailing blanks.
pub fn columns(rows: Vec<Vec<String>>) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut table = Builder::from(rows).build();
    table.with(Style::empty()).with(Padding::new(0, 3, 0, 0));
    table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn aligns_and_leaves_no_trailing_blanks() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let lines = columns(vec![row(["NAME", "READY", "AGE"]), row(["web-10", "1/1", ""])]);
        assert_eq!(lines, ["NAME     READY   AGE", "web-10   1/1"]);
    }
}
