//! Builds the program again when a file of the pages is new: the compiler sees changes only of those that it knows.

fn main() {
    println!("cargo::rerun-if-changed=static");
}
