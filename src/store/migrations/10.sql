DROP INDEX devices_for_search;

CREATE INDEX devices_to_look_through ON devices (id, name, mac_address, mac_key, group_id, metadata);
