"""What a console and a script say and see: frames and views. Imports nothing but ``crm``."""
