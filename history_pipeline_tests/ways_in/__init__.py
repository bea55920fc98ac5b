"""How a server is reached: TLS, client certificates, proxies, balancers."""
