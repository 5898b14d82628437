"""When bytes came. The engine stamps and stores; it reads no meaning into what it stores."""
