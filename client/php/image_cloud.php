<?php
/**
 * Signs URLs of Image Cloud: one exact address, open until it expires, without a token (docs/api.md).
 * One file, PHP 7.1 or newer, no extension but hash, which is always there.
 *
 *     $cloud = new ImageCloudSigner('http://ic00:5000', 'web-frontend', $token);
 *     echo '<img src="' . htmlspecialchars($cloud->thumbnail('http://shop.example/a.jpg', 200)) . '">';
 */
declare(strict_types=1);

final class ImageCloudSigner
{
    private $base;
    private $client;
    private $key;

    /** $client is the name of the token's client. */
    public function __construct(string $base, string $client, string $token)
    {
        $this->base = rtrim($base, '/');
        $this->client = $client;
        $this->key = hash('sha256', $token);
    }

    /** Return a signed thumbnail's URL, open for $seconds. */
    public function thumbnail(string $url, int $size = 200, int $seconds = 3600): string
    {
        return $this->sign('/get_thumbnail', ['size' => $size, 'url' => $url], time() + $seconds);
    }

    /** Return a signed picture's URL, open for $seconds; $options are parameters of /get_image. */
    public function image(string $url, array $options = [], int $seconds = 3600): string
    {
        return $this->sign('/get_image', ['url' => $url] + $options, time() + $seconds);
    }

    /** Return the signed URL of $path with $parameters; $expires is in seconds since 1970. */
    public function sign(string $path, array $parameters, int $expires): string
    {
        $signed = ['client' => $this->client, 'expires' => (string) $expires];
        foreach ($parameters as $name => $value) {
            if ($value !== null) {
                $signed[$name] = is_bool($value) ? ($value ? 'true' : 'false') : (string) $value;
            }
        }
        ksort($signed, SORT_STRING);
        // '&' by name: arg_separator.output of php.ini may say otherwise
        $message = $path . '?' . http_build_query($signed, '', '&', PHP_QUERY_RFC3986);
        return $this->base . $message . '&signature=' . hash_hmac('sha256', $message, $this->key);
    }

    /** Keep the key out of var_dump() and print_r(). */
    public function __debugInfo(): array
    {
        return ['base' => $this->base, 'client' => $this->client];
    }
}
