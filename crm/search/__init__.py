"""Search: messages, customers and objects, whoever may read them."""
