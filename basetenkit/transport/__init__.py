"""The transport: sends requests and timestamps the bytes of responses. The engine stamps and stores; it reads no meaning into
what it stores."""
