/** nginx's configuration for one server. One worker, as every other system here has one process that delivers; no access log.
 * @param folder what it writes is there
 * @param http the directives within its `http` block @param main those before the others, each on a line of its own */
export function nginxConfiguration(folder: string, http: string, main = ''): string {
  return `
${main}worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${http}
}
`
}
