#![no_main]

tender_fuzz::fuzz!(tender_fuzz::targets::range);
