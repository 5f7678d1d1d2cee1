"""Sockets, logins, rights: who is told what."""
