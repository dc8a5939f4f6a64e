//! `notify-keyspace-events`: letters in any order become the engines' own order.

/// What `A` stands for.
const ALL: &str = "g$lshzxetd";
/// Every other letter than `A`, in the order in which `CONFIG GET` prints them.
pub(super) const LETTERS: &str = "g$lshzxetdnKEm";

pub(super) fn normal(text: &str) -> Option<String> {
    if !text.chars().all(|c| c == 'A' || LETTERS.contains(c)) {
        return None;
    }
    let has = |letter: char| text.contains(letter) || (text.contains('A') && ALL.contains(letter));
    let all = ALL.chars().all(has);
    // Engines print no `n` beside `A`, set or not.
    let shown = |letter: char| has(letter) && !(all && (ALL.contains(letter) || letter == 'n'));
    let letters = LETTERS.chars().filter(|letter| shown(*letter));
    Some(all.then_some('A').into_iter().chain(letters).collect())
}
