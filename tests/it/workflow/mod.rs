//! Graphs: what they compile to, what is wrong with them, and that no text in them can change the program.

mod expressions;
mod golden;
mod hostile;
mod nodes;
mod size;
mod support;
