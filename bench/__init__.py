"""Measurements that anyone can repeat: `bench/run`, `bench/profile`, and what happens above capacity and in time."""
